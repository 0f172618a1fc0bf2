"""A folder for bodies on their way to the object store; what a killed process left is removed by the next one."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

_PREFIX: Final = "radrelay-ingest-"
_LOCK: Final = "lock"


class Spool:
    """A private folder that lives as long as this process. Use as a context manager."""

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = parent or Path(tempfile.gettempdir())
        self._folder = Path()
        self._lock = -1

    def __enter__(self) -> Self:
        self._parent.mkdir(parents=True, exist_ok=True)
        self._remove_abandoned()
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
        self._lock = os.open(self._folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._lock)

    def new_path(self) -> Path:
        """A path in the folder that nothing has yet; names from outside are never part of it."""
        return self._folder / uuid4().hex

    def _remove_abandoned(self) -> None:
        """Remove folders whose process is gone: the kernel has let go of their lock."""
        for folder in self._parent.glob(f"{_PREFIX}*"):
            with suppress(OSError):  # in use, just made, not ours, or removed by a sibling: not abandoned
                lock = os.open(folder / _LOCK, os.O_RDWR)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
                finally:
                    os.close(lock)
