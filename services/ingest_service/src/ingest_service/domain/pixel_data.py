"""Measures pixel data against what the image says of itself, without decoding it."""

import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

from ingest_service.domain.attributes import PixelShape
from ingest_service.domain.reasons import Refusal, RejectReason

UNDEFINED_LENGTH: Final = 0xFFFFFFFF
_ITEM: Final = (0xFFFE, 0xE000)
_SEQUENCE_DELIMITATION: Final = (0xFFFE, 0xE0DD)


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Header of the Pixel Data element."""

    vr: str | None
    length: int
    """Bytes, or 0xFFFFFFFF for encapsulated data."""
    value_offset: int
    """Where the value starts in the file, in bytes."""
    little_endian: bool


def check_pixel_data(
    file: BinaryIO,
    size: int,
    element: PixelElement,
    shape: PixelShape,
    *,
    encapsulated: bool,
    fragment_per_frame: bool,
    max_pixel_bytes: int,
) -> int:
    """Check the pixel data of a file of `size` bytes and return the offset where it ends.

    `fragment_per_frame`: each frame is exactly one fragment, as PS3.5 section A.4.2 asks of RLE.

    Raises:
        Refusal: truncated, malformed, pixel_length_mismatch or too_large.
    """
    if shape.size_bytes > max_pixel_bytes:
        raise Refusal(RejectReason.TOO_LARGE, f"the frames decode to more than {max_pixel_bytes} bytes")
    if element.vr not in {None, "OB", "OW", "UN"}:
        raise Refusal(RejectReason.MALFORMED, "Pixel Data is not encoded as OB or OW")
    if encapsulated != (element.length == UNDEFINED_LENGTH):
        expected = "undefined" if encapsulated else "explicit"
        raise Refusal(RejectReason.MALFORMED, f"Pixel Data needs an {expected} length in this transfer syntax")
    if not encapsulated:
        return _check_native(size, element, shape)
    fragments, end = _walk_fragments(file, size, element.value_offset)
    fits = fragments == shape.frames if fragment_per_frame else fragments >= shape.frames
    if not fits:
        raise Refusal(RejectReason.PIXEL_LENGTH_MISMATCH, f"{fragments} fragments for {shape.frames} frames")
    return end


def end_of_pixel_data(file: BinaryIO, size: int, element: PixelElement) -> int:
    """The offset where the pixel data of a file of `size` bytes ends, whatever it holds.

    Raises:
        Refusal: truncated or malformed.
    """
    if element.length == UNDEFINED_LENGTH:
        return _walk_fragments(file, size, element.value_offset)[1]
    end = element.value_offset + element.length
    if end > size:
        raise Refusal(RejectReason.TRUNCATED, "Pixel Data is cut off")
    return end


def _check_native(size: int, element: PixelElement, shape: PixelShape) -> int:
    end = element.value_offset + element.length
    if end > size:
        raise Refusal(
            RejectReason.TRUNCATED,
            f"Pixel Data announces {element.length} bytes, {size - element.value_offset} are there",
        )
    # One byte of padding makes the length even (PS3.5 section 8.1.1).
    if element.length - shape.size_bytes not in {0, shape.size_bytes % 2}:
        raise Refusal(
            RejectReason.PIXEL_LENGTH_MISMATCH, f"Pixel Data has {element.length} bytes, not {shape.size_bytes}"
        )
    return end


def _walk_fragments(file: BinaryIO, size: int, offset: int) -> tuple[int, int]:
    """Count the fragments after the Basic Offset Table, to the delimiter; return the count and where the data ends.

    Encapsulated syntaxes are all little endian (PS3.5 section A.4).
    """
    items = 0
    while True:
        file.seek(offset)
        header = file.read(8)
        if len(header) < 8:
            raise Refusal(RejectReason.TRUNCATED, "Pixel Data ends without its delimiter")
        group, number, length = struct.unpack("<HHL", header)
        offset += 8
        if (group, number) == _SEQUENCE_DELIMITATION:
            return max(items - 1, 0), offset
        if (group, number) != _ITEM or length == UNDEFINED_LENGTH:
            raise Refusal(RejectReason.MALFORMED, f"Pixel Data holds something else than items at byte {offset - 8}")
        offset += length
        items += 1
        if offset > size:
            raise Refusal(RejectReason.TRUNCATED, f"fragment {items} of Pixel Data is cut off")
