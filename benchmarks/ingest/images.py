"""DICOM files of 512 KiB, as many as wanted, each with UIDs of its own."""

import io
import zipfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

from radrelay_phantoms import sample
from radrelay_phantoms.dicom import write_dicom

PIXEL_BYTES: Final = 512 * 1024
"""A CT slice as scanners write it: 512 x 512 pixels of 16 bits."""
_SIZE_PX: Final = 512
_DIGITS: Final = 9


class Images:
    """Copies of one synthetic head CT that differ in their SOP Instance UID, and so in their content."""

    def __init__(self) -> None:
        stream = io.BytesIO()
        self._uid = write_dicom(sample(0, size=_SIZE_PX), stream).encode()
        self._template = stream.getvalue()
        self._numbers = count(10**_DIGITS)

    def make(self) -> bytes:
        """A new image."""
        number = str(next(self._numbers)).encode()
        return self._template.replace(self._uid, self._uid[: -len(number)] + number)

    def some(self, how_many: int) -> list[bytes]:
        """New images."""
        return [self.make() for _ in range(how_many)]

    def archive(self, path: Path, size_bytes: int) -> int:
        """Write a ZIP archive of new images, stored, of at least this size; return how many are in it."""
        number = 0
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, content in self._named():
                archive.writestr(name, content)
                number += 1
                if archive.fp is not None and archive.fp.tell() >= size_bytes:
                    return number
        return number

    def _named(self) -> Iterator[tuple[str, bytes]]:
        for number in count():
            yield f"series/{number:06}.dcm", self.make()
