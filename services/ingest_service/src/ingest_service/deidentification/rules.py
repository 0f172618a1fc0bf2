"""What becomes of attributes that the table of the Basic Profile does not name.

The profile keeps them. Here text, dates and bulk data go unless they are known to describe the image alone, as what a
sender puts there is anybody's guess (PS3.15 section E.1.1 lets more be removed than the table asks for).
"""

import re
from typing import Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.multival import MultiValue

from ingest_service.deidentification.table import FATES, Fate

_TEXT: Final = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_TIMES: Final = frozenset({"AS", "DA", "DT", "TM"})
_BULK: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})

_KEPT_TEXT: Final = frozenset(
    {
        0x00080070,  # Manufacturer
        0x00080100,  # Code Value
        0x00080102,  # Coding Scheme Designator
        0x00080103,  # Coding Scheme Version
        0x00080104,  # Code Meaning
        0x00081090,  # Manufacturer's Model Name
        0x00181020,  # Software Versions
        0x00181210,  # Convolution Kernel
        0x00281054,  # Rescale Type
    }
)
_KEPT_BULK: Final = frozenset(
    {
        *(0x00281201, 0x00281202, 0x00281203, 0x00281221, 0x00281222, 0x00281223),  # palettes
        0x00283006,  # LUT Data
        *(0x7FE00001, 0x7FE00002),  # Extended Offset Table and its lengths
    }
)
_CLASS_UIDS: Final = frozenset(
    {
        0x00080016,  # SOP Class UID
        0x0008001A,  # Related General SOP Class UID
        0x0008001B,  # Original Specialized SOP Class UID
        0x00081150,  # Referenced SOP Class UID
    }
)
_FORMS: Final = {
    "CS": re.compile(rb"[A-Z0-9 _]{0,16}"),
    "DS": re.compile(rb"[0-9+\-.eE]{0,64}"),
    "IS": re.compile(rb"[0-9+\-]{0,12}"),
    "UI": re.compile(rb"[0-9.]{0,64}"),
}
"""What a value may be made of (PS3.5 section 6.2); decimals longer than they may be are let through."""


def fate_of(element: DataElement | RawDataElement) -> Fate:
    """What becomes of an attribute."""
    tag = element.tag
    # Private attributes, group lengths, groups of other layers, and what the dictionary does not hold: curves and
    # overlays, whose groups repeat, and attributes newer than it is.
    if tag.is_private or tag.element == 0 or tag.group < 8 or not dictionary_has_tag(tag):
        return Fate.REMOVE
    named = FATES.get(tag)
    return named if named is not None else _unnamed(element)


def _unnamed(element: DataElement | RawDataElement) -> Fate:
    tag = element.tag
    possible = dictionary_VR(tag).split(" or ")
    if element.VR not in {None, "UN", *possible}:
        return Fate.REMOVE
    if possible == ["SQ"]:
        return Fate.CLEAN
    if not _BULK.isdisjoint(possible):
        return Fate.KEEP if tag in _KEPT_BULK else Fate.REMOVE
    vr = possible[0]
    if vr in _TIMES or (vr in _TEXT and tag not in _KEPT_TEXT):
        return Fate.REMOVE
    if vr == "UI" and tag not in _CLASS_UIDS:
        return Fate.MAP_UID
    return Fate.KEEP if _has_form(element, vr) else Fate.REMOVE


def _has_form(element: DataElement | RawDataElement, vr: str) -> bool:
    form = _FORMS.get(vr)
    return form is None or all(form.fullmatch(value) for value in values_of(element))


def values_of(element: DataElement | RawDataElement) -> list[bytes]:
    """The values of text as they are encoded, without their padding."""
    value = element.value
    if not isinstance(value, bytes):  # one of the few that pydicom reads at once
        texts = value if isinstance(value, MultiValue) else [value or ""]
        value = "\\".join(map(str, texts)).encode()
    return [each.strip(b"\0 ") for each in value.split(b"\\")]
