"""A DICOM file cut into its elements, items and fragments, without understanding them: what a mutation works on."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

UNDEFINED: Final = 0xFFFFFFFF
PIXEL_DATA: Final = 0x7FE00010
ITEM: Final = 0xFFFEE000
_ITEM_DELIMITER: Final = 0xFFFEE00D
_SEQUENCE_DELIMITER: Final = 0xFFFEE0DD
_PREAMBLE: Final = 132
_TRANSFER_SYNTAX: Final = 0x00020010
_LONG_VRS: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"})


@dataclass(frozen=True, slots=True)
class Token:
    """An element, an item or a delimiter; the header of a sequence or item is followed by its content's tokens."""

    tag: int
    start: int
    """The offsets are in bytes from the start of the file."""
    length_at: int
    length_bytes: int
    value_at: int
    end: int
    """After the value; of a sequence, an item or encapsulated pixels, after the header."""
    little_endian: bool
    vr_at: int | None
    """None where the encoding is implicit."""

    @property
    def value_bytes(self) -> int:
        """The length of the value."""
        return self.end - self.value_at


@dataclass(frozen=True, slots=True)
class Sample:
    """A file to mutate."""

    content: bytes
    """Inflated where the file is deflated."""
    tokens: tuple[Token, ...]
    deflated_from: int | None
    """Where the deflated data set starts."""

    def pack(self, content: bytes) -> bytes:
        """The file that a mutated `content` makes: deflated again where this one was."""
        if self.deflated_from is None:
            return content
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        start = self.deflated_from
        return content[:start] + deflater.compress(content[start:]) + deflater.flush()


def sample_of(content: bytes) -> Sample:
    """The file's tokens as far as they can be told; what is no DICOM file has none."""
    if content[128:_PREAMBLE] != b"DICM":
        return Sample(content, (), None)
    meta = [each for each in _walk(content, _PREAMBLE, implicit=False, little_endian=True) if each.tag >> 16 == 2]
    at = meta[-1].end if meta else _PREAMBLE
    named = [content[each.value_at : each.end] for each in meta if each.tag == _TRANSFER_SYNTAX]
    syntax = named[0].decode("latin-1").strip("\0 ") if named else ""
    deflated_from = None
    if syntax == DeflatedExplicitVRLittleEndian:
        deflated_from = at
        content = content[:at] + zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[at:])
    implicit, little_endian = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    body = _walk(content, at, implicit=implicit, little_endian=little_endian)
    return Sample(content, (*meta, *body), deflated_from)


def _walk(content: bytes, at: int, *, implicit: bool, little_endian: bool) -> Iterator[Token]:
    """Tokens from `at` on, to the end or to where they make no sense any more."""
    order = "<" if little_endian else ">"
    in_pixels = False
    while at + 8 <= len(content):
        group, number = struct.unpack_from(f"{order}HH", content, at)
        tag = group << 16 | number
        vr = content[at + 4 : at + 6]
        is_item = group == 0xFFFE
        if implicit or is_item or not vr.isalpha():
            vr_at, length_at, length_bytes = None, at + 4, 4
        elif vr in _LONG_VRS:
            vr_at, length_at, length_bytes = at + 4, at + 8, 4
        else:
            vr_at, length_at, length_bytes = at + 4, at + 6, 2
        value_at = length_at + length_bytes
        if value_at > len(content):
            return
        (length,) = struct.unpack_from(f"{order}{'L' if length_bytes == 4 else 'H'}", content, length_at)
        opens = length == UNDEFINED or (vr_at is not None and vr == b"SQ") or (tag == ITEM and not in_pixels)
        end = value_at if opens or tag in {_ITEM_DELIMITER, _SEQUENCE_DELIMITER} else value_at + length
        if end > len(content):
            return
        yield Token(tag, at, length_at, length_bytes, value_at, end, little_endian, vr_at)
        in_pixels = (in_pixels or (tag == PIXEL_DATA and length == UNDEFINED)) and tag != _SEQUENCE_DELIMITER
        at = end
