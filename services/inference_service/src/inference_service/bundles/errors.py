"""The one error of model bundles."""

from pathlib import Path


class BundleError(Exception):
    """A bundle cannot be used; the message says which file, which place in it, and what is wrong there."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem
