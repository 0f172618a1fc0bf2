"""Takes entries out of a ZIP archive one at a time, as a stream, onto the disk."""

import asyncio
import hashlib
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ingest_service.domain.archive import MAGIC_LENGTH, ArchiveEntry
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.ports import Unpacked

_CHUNK: Final = 1 << 20


class Unpacker:
    """An archive whose directory was judged before. Use as an async context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __aenter__(self) -> Self:
        self._archive = await asyncio.to_thread(zipfile.ZipFile, self._path)
        self._infos = self._archive.infolist()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()

    async def extract(self, entry: ArchiveEntry, target: Path) -> Unpacked:
        """Write one entry to `target`.

        No more than `entry.size_bytes` is written: the reader stops there, and a forged size fails the checksum.

        Raises:
            Refusal: malformed_archive; nothing is left at `target`.
        """
        return await asyncio.to_thread(self._extract, self._infos[entry.index], target)

    def _extract(self, info: zipfile.ZipInfo, target: Path) -> Unpacked:
        try:
            return self._copy(info, target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def _copy(self, info: zipfile.ZipInfo, target: Path) -> Unpacked:
        digest = hashlib.sha256()
        magic = b""
        try:
            with self._archive.open(info) as source, target.open("xb") as sink:
                while chunk := source.read(_CHUNK):
                    magic = magic or chunk[:MAGIC_LENGTH]
                    digest.update(chunk)
                    sink.write(chunk)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
            raise Refusal(RejectReason.MALFORMED_ARCHIVE, "the entry cannot be unpacked") from error
        if target.stat().st_size != info.file_size:
            raise Refusal(RejectReason.MALFORMED_ARCHIVE, "the entry is not of the size that the directory says")
        return Unpacked(digest.hexdigest(), magic)
