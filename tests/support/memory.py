"""What a process and all that it started hold in memory, watched while a block runs."""

from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

import psutil

_INTERVAL_S: Final = 0.1


class MemoryWatch:
    """Use as a context manager.

    Proportional set size (PSS) counts a page that several processes share by its part in each, so that the sum over
    processes is what they hold together.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = Event()
        self._thread = Thread(target=self._watch, daemon=True)
        self.idle_bytes = pss_bytes(pid)
        """PSS of all processes when the block was entered."""
        self.peak_bytes = self.idle_bytes
        """The most that was seen of it."""
        self.peak_rss_bytes = 0
        """The most that the first process alone had, as the kernel kept it."""
        self.looks = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._ended.wait(_INTERVAL_S):
            self._look()

    def _look(self) -> None:
        with suppress(psutil.NoSuchProcess):  # whoever watches finds out by other means that the process has died
            self.peak_bytes = max(self.peak_bytes, pss_bytes(self._pid))
            self.peak_rss_bytes = peak_rss_bytes(self._pid)
            self.looks += 1


def family(pid: int) -> list[psutil.Process]:
    """The process and all that it started."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def pss_bytes(pid: int) -> int:
    """PSS of the process and all that it started, together."""
    total = 0
    for process in family(pid):
        with suppress(OSError):  # it has ended since it was listed
            total += _kib(Path(f"/proc/{process.pid}/smaps_rollup"), "Pss:")
    return total * 1024


def peak_rss_bytes(pid: int) -> int:
    """The most that the process alone ever had in memory."""
    with suppress(OSError):
        return _kib(Path(f"/proc/{pid}/status"), "VmHWM:") * 1024
    return 0


def _kib(path: Path, field: str) -> int:
    (line,) = (line for line in path.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])
