"""Files on their way out: grouped into requests of bounded size, and metered while they are read."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

FILES_PER_REQUEST = 64
BYTES_PER_REQUEST = 64 * 2**20


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


def group_files(paths: Sequence[Path]) -> list[list[Path]]:
    """Split files into requests of bounded count and size, in order; a larger file goes alone."""
    groups: list[list[Path]] = []
    room_bytes = 0
    for path in paths:
        size = path.stat().st_size
        if not groups or len(groups[-1]) == FILES_PER_REQUEST or size > room_bytes:
            groups.append([])
            room_bytes = BYTES_PER_REQUEST
        groups[-1].append(path)
        room_bytes -= size
    return groups
