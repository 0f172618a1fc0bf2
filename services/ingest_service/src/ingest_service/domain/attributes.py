"""Strict readers of the attributes that identify and describe an image.

Values are read from raw elements, not through a data set: a value representation other than the dictionary's, such as
Rows encoded as DS, is refused instead of being converted to something unexpected.
"""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydicom import config
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.uid import UID

from ingest_service.domain.identity import SopReference
from ingest_service.domain.reasons import Refusal, RejectReason

_SAMPLES_PER_PIXEL: Final = 0x00280002
_PHOTOMETRIC_INTERPRETATION: Final = 0x00280004
_NUMBER_OF_FRAMES: Final = 0x00280008
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_BITS_ALLOCATED: Final = 0x00280100
_BITS_STORED: Final = 0x00280101
_PIXEL_REPRESENTATION: Final = 0x00280103

WANTED: Final = frozenset(
    {
        0x00020002,  # Media Storage SOP Class UID
        0x00020003,  # Media Storage SOP Instance UID
        0x00020010,  # Transfer Syntax UID
        0x00080016,  # SOP Class UID
        0x00080018,  # SOP Instance UID
        0x00080060,  # Modality
        0x00180015,  # Body Part Examined
        0x0020000D,  # Study Instance UID
        0x0020000E,  # Series Instance UID
        0x00200013,  # Instance Number
        _SAMPLES_PER_PIXEL,
        _PHOTOMETRIC_INTERPRETATION,
        _NUMBER_OF_FRAMES,
        _ROWS,
        _COLUMNS,
        _BITS_ALLOCATED,
        _BITS_STORED,
        _PIXEL_REPRESENTATION,
    }
)

_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_CODE_STRING: Final = re.compile(r"[A-Z0-9 _]{1,16}")
_INTEGER_STRING: Final = re.compile(r"[+-]?[0-9]{1,11}")
_INTEGERS: Final = range(-(2**31), 2**31)
"""What an integer string may say (PS3.5 section 6.2)."""

Elements = Mapping[int, RawDataElement]


@dataclass(frozen=True, slots=True)
class PixelShape:
    """How the pixel data is laid out."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    half_chroma: bool
    """YBR_FULL_422: two samples a pixel instead of three when not compressed (PS3.3 section C.7.6.3.1.2)."""

    @property
    def size_bytes(self) -> int:
        """Bytes of all frames once decoded, without padding."""
        samples = 2 if self.half_chroma else self.samples
        return (self.rows * self.columns * self.frames * samples * self.bits_allocated + 7) // 8


def _label(tag: int) -> str:
    return f"{keyword_for_tag(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def text(element: RawDataElement) -> str:
    """The value as ASCII text without its padding; '' where it is not ASCII."""
    return (element.value or b"").decode("ascii", errors="ignore").strip("\0 ")


def _element(elements: Elements, tag: int, missing: RejectReason) -> RawDataElement:
    element = elements.get(tag)
    if element is None or not element.value:
        raise Refusal(missing, f"no {_label(tag)}")
    if element.VR not in {None, "UN", dictionary_VR(tag)}:
        raise Refusal(RejectReason.INVALID_ATTRIBUTE, f"{_label(tag)} is not encoded as {dictionary_VR(tag)}")
    return element


def is_uid(value: str) -> bool:
    """Whether a text can be a UID (PS3.5 section 9.1); zeros that lead a component are let through."""
    return len(value) <= 64 and bool(_UID.fullmatch(value))


def registered_name(value: str) -> str | None:
    """What DICOM calls a UID that it registers (PS3.6 annex A), white space around it aside; None for another text."""
    known = UID(value, config.IGNORE)
    return known.name if known.name != known else None


def dicom_uid(elements: Elements, tag: int) -> str:
    """A required UID (PS3.5 section 9.1).

    Raises:
        Refusal: missing_uid.
    """
    value = text(_element(elements, tag, RejectReason.MISSING_UID))
    if not is_uid(value):
        raise Refusal(RejectReason.MISSING_UID, f"{_label(tag)} is not a valid UID")
    return value


def media_storage(elements: Elements) -> SopReference | None:
    """What the file meta information says the file holds (PS3.10 section 7.1); None where it does not say."""
    class_uid, instance_uid = (text(elements[tag]) if tag in elements else "" for tag in (0x00020002, 0x00020003))
    return SopReference(class_uid, instance_uid) if is_uid(class_uid) and is_uid(instance_uid) else None


def code_string(elements: Elements, tag: int) -> str:
    """A required code string (VR CS).

    Raises:
        Refusal: missing_attribute or invalid_attribute.
    """
    value = text(_element(elements, tag, RejectReason.MISSING_ATTRIBUTE))
    if not _CODE_STRING.fullmatch(value):
        raise Refusal(RejectReason.INVALID_ATTRIBUTE, f"{_label(tag)} is not a code string")
    return value


def optional_code_string(elements: Elements, tag: int) -> str | None:
    """A code string, or None where it is missing or not one."""
    element = elements.get(tag)
    value = text(element) if element is not None else ""
    return value if _CODE_STRING.fullmatch(value) else None


def optional_integer_string(elements: Elements, tag: int) -> int | None:
    """An integer string, or None where it is missing or not one."""
    element = elements.get(tag)
    value = text(element) if element is not None else ""
    return int(value) if _INTEGER_STRING.fullmatch(value) and int(value) in _INTEGERS else None


def unsigned_short(elements: Elements, tag: int) -> int:
    """A required number above zero (VR US).

    Raises:
        Refusal: missing_attribute or invalid_attribute.
    """
    value = _unsigned_short(elements, tag)
    if value == 0:
        raise Refusal(RejectReason.INVALID_ATTRIBUTE, f"{_label(tag)} is 0")
    return value


def _unsigned_short(elements: Elements, tag: int) -> int:
    element = _element(elements, tag, RejectReason.MISSING_ATTRIBUTE)
    value = element.value or b""
    if len(value) != 2:
        raise Refusal(RejectReason.INVALID_ATTRIBUTE, f"{_label(tag)} is not one 16-bit number")
    (number,) = struct.unpack("<H" if element.is_little_endian else ">H", value)
    return int(number)


def _one_of(elements: Elements, tag: int, allowed: frozenset[int]) -> int:
    value = _unsigned_short(elements, tag)
    if value not in allowed:
        raise Refusal(RejectReason.INVALID_ATTRIBUTE, f"{_label(tag)} is {value}, not one of {sorted(allowed)}")
    return value


def frame_count(elements: Elements) -> int:
    """Number of Frames (VR IS), 1 where it is absent.

    Raises:
        Refusal: invalid_attribute.
    """
    if _NUMBER_OF_FRAMES not in elements:
        return 1
    value = text(_element(elements, _NUMBER_OF_FRAMES, RejectReason.INVALID_ATTRIBUTE))
    if not _INTEGER_STRING.fullmatch(value) or int(value) < 1:
        raise Refusal(RejectReason.INVALID_ATTRIBUTE, f"{_label(_NUMBER_OF_FRAMES)} is not a number above 0")
    return int(value)


def pixel_shape(elements: Elements) -> PixelShape:
    """The layout that the Image Pixel module announces.

    Raises:
        Refusal: missing_attribute or invalid_attribute.
    """
    samples = _one_of(elements, _SAMPLES_PER_PIXEL, frozenset({1, 3}))
    bits_allocated = _one_of(elements, _BITS_ALLOCATED, frozenset({1, 8, 16, 32}))
    _one_of(elements, _BITS_STORED, frozenset(range(1, bits_allocated + 1)))
    _one_of(elements, _PIXEL_REPRESENTATION, frozenset({0, 1}))
    photometric = code_string(elements, _PHOTOMETRIC_INTERPRETATION)
    return PixelShape(
        rows=unsigned_short(elements, _ROWS),
        columns=unsigned_short(elements, _COLUMNS),
        frames=frame_count(elements),
        samples=samples,
        bits_allocated=bits_allocated,
        half_chroma=photometric == "YBR_FULL_422" and samples == 3,
    )
