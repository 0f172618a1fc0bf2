"""Judges a ZIP archive by its directory, before any byte of it is inflated.

An entry that breaks a rule is refused by itself. An archive whose entries overlap (CVE-2024-0450), or that would expand
beyond the limits, is refused whole: nothing that its directory says can be trusted.
Source: APPNOTE.TXT, ".ZIP File Format Specification" 6.3.10, sections 4.3 and 4.4.
"""

import stat
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from ingest_service.domain.limits import ArchiveLimits
from ingest_service.domain.names import display_name, is_unsafe_path
from ingest_service.domain.reasons import Refusal, RejectReason

MAGIC_LENGTH: Final = 4
_ZIP_MAGICS: Final = (b"PK\x03\x04", b"PK\x05\x06")

_LOCAL_HEADER: Final = struct.Struct("<4s22xHH")
_LOCAL_MAGIC: Final = b"PK\x03\x04"
_ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
_ARCHIVE_SUFFIXES: Final = frozenset({".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst"})
_DEPTH_SEPARATOR: Final = "/"


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """One file of an archive, as its directory describes it."""

    index: int
    """Position among the entries of the directory, from 0."""
    name: str
    """Fit to show: the name within the archive."""
    size_bytes: int
    """What it says it expands to."""


@dataclass(frozen=True, slots=True)
class RefusedEntry:
    """One file of an archive that will not be unpacked, and why."""

    index: int
    name: str
    reason: RejectReason
    detail: str


@dataclass(frozen=True, slots=True)
class ArchivePlan:
    """What to unpack and what not."""

    entries: tuple[ArchiveEntry, ...]
    refused: tuple[RefusedEntry, ...]


def is_archive(magic: bytes) -> bool:
    """Whether these first four bytes are a ZIP archive's: its first entry, or its end record where it is empty."""
    return magic in _ZIP_MAGICS


def plan_archive(path: Path, limits: ArchiveLimits) -> ArchivePlan:
    """Read the directory of the archive at `path`.

    Raises:
        Refusal: the archive as a whole is refused: malformed_archive, empty_archive or archive_bomb.
    """
    with path.open("rb") as file:
        infos, directory_offset = _read_directory(file, limits)
        files = [(index, info) for index, info in enumerate(infos) if not info.is_dir()]
        if not files:
            raise Refusal(RejectReason.EMPTY_ARCHIVE, "no files in the archive")
        _check_sizes([info for _, info in files], path.stat().st_size, limits)
        _check_spans(file, infos, directory_offset)
    entries: list[ArchiveEntry] = []
    refused: list[RefusedEntry] = []
    seen: set[str] = set()
    for index, info in files:
        try:
            _check_entry(info, seen, limits)
        except Refusal as refusal:
            refused.append(RefusedEntry(index, display_name(info.orig_filename), refusal.reason, refusal.detail))
        else:
            entries.append(ArchiveEntry(index, display_name(info.filename), info.file_size))
        seen.add(info.filename)
    return ArchivePlan(tuple(entries), tuple(refused))


def member_name(archive_name: str, entry_name: str) -> str:
    """How a file inside an archive is called in a batch."""
    return display_name(f"{archive_name}{_DEPTH_SEPARATOR}{entry_name}")


def _read_directory(file: BinaryIO, limits: ArchiveLimits) -> tuple[list[zipfile.ZipInfo], int]:
    """The entries, and the offset at which the directory starts: all data lies before it."""
    _check_end_record(file, limits)
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.infolist(), archive.start_dir
    # Forged numbers reach many branches of the reader; each of these means that the directory is broken.
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError, struct.error) as error:
        raise Refusal(RejectReason.MALFORMED_ARCHIVE, "the directory of the archive cannot be read") from error
    except MemoryError as error:
        raise Refusal(RejectReason.ARCHIVE_BOMB, "the directory needs more memory than allowed") from error


def _check_end_record(file: BinaryIO, limits: ArchiveLimits) -> None:
    """Look at the numbers of the end record before the directory, which they size, is read into memory."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # private, but what ZipFile itself goes by
    if end is None:
        raise Refusal(RejectReason.MALFORMED_ARCHIVE, "the archive has no end record; is it complete?")
    count, directory_bytes = int(end[zipfile._ECD_ENTRIES_TOTAL]), int(end[zipfile._ECD_SIZE])  # type: ignore[attr-defined]  # the same
    if count > limits.max_entries:
        raise Refusal(RejectReason.ARCHIVE_BOMB, f"{count} entries, more than {limits.max_entries}")
    if directory_bytes > limits.max_directory_bytes:
        raise Refusal(RejectReason.ARCHIVE_BOMB, f"a directory of {directory_bytes} bytes")


def _check_sizes(infos: list[zipfile.ZipInfo], archive_bytes: int, limits: ArchiveLimits) -> None:
    if len(infos) > limits.max_entries:
        raise Refusal(RejectReason.ARCHIVE_BOMB, f"{len(infos)} entries, more than {limits.max_entries}")
    total = sum(info.file_size for info in infos)
    if total > limits.max_total_bytes:
        raise Refusal(RejectReason.ARCHIVE_BOMB, f"expands to {total} bytes, more than {limits.max_total_bytes}")
    if total > limits.ratio_floor_bytes and total > limits.max_ratio * archive_bytes:
        raise Refusal(RejectReason.ARCHIVE_BOMB, f"expands {total // archive_bytes} times, more than allowed")


def _check_spans(file: BinaryIO, infos: list[zipfile.ZipInfo], directory_offset: int) -> None:
    """Refuse entries that share bytes, which let a small archive expand without bound."""
    last_end = 0
    for start, end in sorted(_spans(file, infos, directory_offset)):
        if start < last_end or end > directory_offset:
            raise Refusal(RejectReason.ARCHIVE_BOMB, "entries overlap")
        last_end = end


def _spans(file: BinaryIO, infos: list[zipfile.ZipInfo], directory_offset: int) -> Iterator[tuple[int, int]]:
    """First byte and end of each entry; the local header's own lengths count, not the directory's."""
    for info in infos:
        if not 0 <= info.header_offset <= directory_offset - _LOCAL_HEADER.size:
            raise Refusal(RejectReason.MALFORMED_ARCHIVE, "an entry lies outside the archive")
        file.seek(info.header_offset)
        header = file.read(_LOCAL_HEADER.size)
        magic, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
        if magic != _LOCAL_MAGIC:
            raise Refusal(RejectReason.MALFORMED_ARCHIVE, "the directory points at something that is no entry")
        size = _LOCAL_HEADER.size + name_bytes + extra_bytes + info.compress_size
        yield info.header_offset, info.header_offset + size


def _check_entry(info: zipfile.ZipInfo, seen: set[str], limits: ArchiveLimits) -> None:
    if is_unsafe_path(info.orig_filename):
        raise Refusal(RejectReason.UNSAFE_PATH, "the name leaves the archive")
    file_type = stat.S_IFMT(info.external_attr >> 16)
    if file_type not in {0, stat.S_IFREG}:
        raise Refusal(RejectReason.UNSAFE_PATH, "a link or a device, not a file")
    if info.flag_bits & _ENCRYPTED:
        raise Refusal(RejectReason.ENCRYPTED_ARCHIVE, "encrypted")
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise Refusal(RejectReason.UNSUPPORTED_COMPRESSION, f"compression method {info.compress_type}")
    if PurePosixPath(info.filename).suffix.lower() in _ARCHIVE_SUFFIXES:
        raise Refusal(RejectReason.NESTED_ARCHIVE, "an archive inside an archive")
    if info.filename in seen:
        raise Refusal(RejectReason.DUPLICATE_NAME, "a second entry of this name")
    if info.file_size > limits.max_entry_bytes:
        raise Refusal(RejectReason.TOO_LARGE, f"{info.file_size} bytes, more than {limits.max_entry_bytes}")
