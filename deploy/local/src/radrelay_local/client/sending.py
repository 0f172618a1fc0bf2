"""Files on their way out: named, grouped into requests of bounded size, and metered while they are read."""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

FILES_PER_REQUEST = 64
BYTES_PER_REQUEST = 64 * 2**20
"""A larger file goes alone, in several requests that go on where the last one broke off."""

Sent = Callable[[int], None]
"""Called with the number of bytes just sent."""


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """A file to send.

    Attributes:
        name: what the batch shows it as; never an absolute path.
        path: where it is.
        size_bytes: its size when it was found.
    """

    name: str
    path: Path
    size_bytes: int

    @classmethod
    def under(cls, root: Path, path: Path) -> Self:
        """A file named by its path under `root`.

        Raises:
            OSError: it is not there.
        """
        return cls(path.relative_to(root).as_posix(), path, path.stat().st_size)


class Highest:
    """Tells of bytes once, also where they are sent again.

    Args:
        sent: called with how many more bytes were sent than ever before.
    """

    def __init__(self, sent: Sent) -> None:
        self._sent = sent
        self._told = 0

    def tell(self, position: int) -> None:
        """Say how far sending is."""
        if position > self._told:
            self._sent(position - self._told)
            self._told = position


class Meter:
    """Counts the bytes read from all files of one request.

    Args:
        tell: called with the count whenever it grows.
    """

    def __init__(self, tell: Callable[[int], None]) -> None:
        self.position = 0
        self._tell = tell

    def add(self, count: int) -> None:
        """Count more bytes."""
        self.position += count
        self._tell(self.position)


class MeteredFile(io.FileIO):
    """A file that tells a meter how much of it was read."""

    def __init__(self, path: Path, meter: Meter) -> None:
        super().__init__(path, "rb")
        self._meter = meter

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to `size` bytes, all of them where it is -1 or None."""
        chunk = super().read(-1 if size is None else size) or b""
        self._meter.add(len(chunk))
        return chunk


def group_files(files: Iterable[OutgoingFile]) -> list[list[OutgoingFile]]:
    """Split files into requests of bounded count and size, in order; a larger file goes alone."""
    groups: list[list[OutgoingFile]] = []
    room_bytes = 0
    for file in files:
        if not groups or len(groups[-1]) == FILES_PER_REQUEST or file.size_bytes > room_bytes:
            groups.append([])
            room_bytes = BYTES_PER_REQUEST
        groups[-1].append(file)
        room_bytes -= file.size_bytes
    return groups
