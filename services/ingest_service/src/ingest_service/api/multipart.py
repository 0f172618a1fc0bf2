"""Parses a multipart body as it arrives: each part goes to a file of its own, hashed on the way.

Memory holds one chunk of the body whatever the size of the upload. Sources: RFC 7578 (multipart/form-data), RFC 2387
(multipart/related).
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ingest_service.domain.archive import MAGIC_LENGTH
from ingest_service.domain.names import display_name

_FORM: Final = b"multipart/form-data"
_RELATED: Final = b"multipart/related"
_MAX_BOUNDARY_LENGTH: Final = 70
"""RFC 2046 section 5.1.1."""


class NotMultipart(ValueError):
    """The content type is not the multipart type that is taken, with a boundary."""


class MalformedMultipart(ValueError):
    """The body does not follow the multipart syntax, or ends before its last boundary."""


class TooManyParts(ValueError):
    """The body has more parts than the limit."""


@dataclass(frozen=True, slots=True)
class SpooledPart:
    """One part of a body, complete and on disk. Whoever takes it removes the file."""

    path: Path
    number: int
    """Its place in the body, from 1."""
    media_type: str
    """In lower case and without parameters; empty where the part names none."""
    field: str
    """Empty where the part names none."""
    file_name: str | None
    """Fit to show; never a path. None where the part names none."""
    size_bytes: int
    """As sent; the file holds less where `over_limit`."""
    sha256: str
    """Of all bytes sent, in hexadecimal."""
    over_limit: bool
    magic: bytes
    """The first four bytes."""


def form_boundary(content_type: str | None) -> bytes:
    """The boundary that the Content-Type header of a form gives.

    Raises:
        NotMultipart: another type, or no valid boundary.
    """
    media_type, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if media_type != _FORM or not 0 < len(boundary) <= _MAX_BOUNDARY_LENGTH:
        raise NotMultipart("not multipart/form-data with a boundary")
    return boundary


def related_boundary(content_type: str | None, part_type: str) -> bytes:
    """The boundary that the Content-Type header of a multipart/related body of parts of one type gives.

    Raises:
        NotMultipart: another type, parts of another type, or no valid boundary.
    """
    media_type, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    fits = media_type == _RELATED and options.get(b"type", b"").lower() == part_type.encode()
    if not fits or not 0 < len(boundary) <= _MAX_BOUNDARY_LENGTH:
        raise NotMultipart(f'not multipart/related; type="{part_type}" with a boundary')
    return boundary


class _OpenPart:
    def __init__(self, path: Path, number: int) -> None:
        self.path = path
        self.number = number
        self.headers: dict[str, bytearray] = {}
        self.header_name = bytearray()
        self.header_value = bytearray()
        self.file: IO[bytes] = path.open("xb")
        self.digest = hashlib.sha256()
        self.size_bytes = 0
        self.magic = b""

    def discard(self) -> None:
        self.file.close()
        self.path.unlink(missing_ok=True)


class PartSpooler:
    """A push parser: feed it chunks, take what is complete. `feed` and `close` use the disk: call them in a thread."""

    def __init__(self, boundary: bytes, new_path: Callable[[], Path], *, max_file_bytes: int, max_parts: int) -> None:
        self._new_path = new_path
        self._max_file_bytes = max_file_bytes
        self._max_parts = max_parts
        self._parts = 0
        self._open: _OpenPart | None = None
        self._complete: deque[SpooledPart] = deque()
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )

    def feed(self, chunks: Iterable[bytes]) -> None:
        """Take in the next bytes of the body; the parts that they complete, also before an error, are to be taken.

        Raises:
            MalformedMultipart: the syntax is broken.
            TooManyParts: more parts than the limit.
        """
        try:
            for chunk in chunks:
                self._parser.write(chunk)
        except FormParserError as error:
            raise MalformedMultipart("the multipart syntax is broken") from error

    def take(self) -> Iterator[SpooledPart]:
        """The parts that are complete, one after the other; those behind the last one that was asked for stay here."""
        while self._complete:
            yield self._complete.popleft()

    def finish(self) -> None:
        """Say that the body has ended.

        Raises:
            MalformedMultipart: before its last boundary.
        """
        if not self._ended:
            raise MalformedMultipart("the body ends before its last boundary")

    def close(self) -> None:
        """Discard the part that is not complete, and what was not taken."""
        if self._open is not None:
            self._open.discard()
            self._open = None
        for part in self.take():
            part.path.unlink(missing_ok=True)

    @property
    def _part(self) -> _OpenPart:
        if self._open is None:
            raise MalformedMultipart("data outside of a part")
        return self._open

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > self._max_parts:
            raise TooManyParts(f"more than {self._max_parts} files in one request")
        self._open = _OpenPart(self._new_path(), self._parts)

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._part.header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._part.header_value += data[start:end]

    def _on_header_end(self) -> None:
        part = self._part
        part.headers[part.header_name.decode("latin-1").lower()] = part.header_value
        part.header_name, part.header_value = bytearray(), bytearray()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        view = memoryview(data)[start:end]
        if len(part.magic) < MAGIC_LENGTH:
            part.magic += bytes(view[: MAGIC_LENGTH - len(part.magic)])
        part.size_bytes += len(view)
        part.digest.update(view)
        if part.size_bytes <= self._max_file_bytes:
            part.file.write(view)

    def _on_part_end(self) -> None:
        part = self._part
        part.file.close()
        self._open = None
        media_type, _ = parse_options_header(bytes(part.headers.get("content-type", b"")))
        _, options = parse_options_header(bytes(part.headers.get("content-disposition", b"")))
        file_name = options.get(b"filename")
        self._complete.append(
            SpooledPart(
                path=part.path,
                number=part.number,
                media_type=media_type.decode("latin-1"),
                field=options.get(b"name", b"").decode(errors="replace"),
                file_name=display_name(file_name.decode(errors="replace")) if file_name else None,
                size_bytes=part.size_bytes,
                sha256=part.digest.hexdigest(),
                over_limit=part.size_bytes > self._max_file_bytes,
                magic=part.magic,
            )
        )

    def _on_end(self) -> None:
        self._ended = True
