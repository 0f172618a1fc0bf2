"""The folder that one stack keeps everything in."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from radrelay_local.errors import StackError

HOME_VARIABLE = "RADRELAY_HOME"


class Home:
    """Paths under a stack's folder, and the lock that lets one command at a time change the stack."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.logs = self.root / "logs"
        self.state_file = self.root / "state.json"
        self.credentials_file = self.root / "credentials.json"

    @classmethod
    def default(cls) -> Path:
        """The folder named by RADRELAY_HOME, else build/stack under the current directory."""
        return Path(os.environ.get(HOME_VARIABLE) or "build/stack")

    def create(self) -> None:
        """Make the folders. Others may pass through to the database's own, but not look around."""
        for folder in (self.root, self.logs, self.root / "data"):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o711)

    def data(self, name: str) -> Path:
        """Where the process `name` keeps its files; made when it is missing, readable by nobody else."""
        folder = self.root / "data" / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def log(self, name: str) -> Path:
        """The log of one process or job."""
        return self.logs / f"{name}.log"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the stack for one command.

        Raises:
            StackError: another command holds it.
        """
        self.create()
        with (self.root / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StackError(f"another radrelay command is changing the stack in {self.root}; try again") from error
            yield
