"""Which cores a service has, and which the stores, the broker and the client around it.

`python -m benchmarks.layout 2,3 COMMAND...` becomes the command, with all of its threads and children on these cores.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """Cores by who has them."""

    service: frozenset[int]
    others: frozenset[int]

    @property
    def is_shared(self) -> bool:
        """Whether everybody has the same cores."""
        return self.service == self.others

    @property
    def setting(self) -> str:
        """For people."""
        if self.is_shared:
            return f"all on the same {len(self.service)} cores"
        return f"the service on {len(self.service)} of the cores, all else on {len(self.others)} others"


def layouts() -> list[Layout]:
    """All on all cores; and, where there are two or more, the service on half of them, as on a machine of its own."""
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    shared = Layout(frozenset(cores), frozenset(cores))
    return [shared, Layout(frozenset(cores[half:]), frozenset(cores[:half]))] if half else [shared]


@contextmanager
def kept_to(cores: frozenset[int]) -> Iterator[None]:
    """Inside the block, this thread, and the threads and children that it makes, keep to these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pinned(command: Iterable[str], cores: frozenset[int]) -> tuple[str, ...]:
    """A command that runs another one on these cores; it becomes that one, and keeps its number."""
    return (sys.executable, "-m", "benchmarks.layout", ",".join(map(str, sorted(cores))), *command)


def main(cores: str, *command: str) -> None:
    """Become the command on these cores."""
    os.sched_setaffinity(0, {int(each) for each in cores.split(",")})
    os.execvp(command[0], command)  # noqa: S606  # there is nothing for a shell to do


if __name__ == "__main__":
    main(*sys.argv[1:])
