"""What the Basic Profile does with each attribute: DICOM PS3.15 table E.1-1, edition 2026c.

`basic_profile.tsv` holds the table's column for the profile without options: tag, keyword and action code. Its rows of
whole groups (curves, overlays, private attributes) are rules in `rules.py`.
"""

from collections.abc import Mapping
from enum import Enum, auto
from importlib.resources import files
from typing import Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR


class Fate(Enum):
    """What becomes of an attribute."""

    KEEP = auto()
    CLEAN = auto()
    """A sequence is kept, and the profile is applied to each of its items."""
    REMOVE = auto()
    EMPTY = auto()
    DUMMY = auto()
    MAP_UID = auto()
    PSEUDONYM = auto()


# The choices that a code leaves depend on the type in the information object: emptied or replaced, an attribute is
# right whatever its type is. A sequence with a dummy item would break its own rules, so it goes where it may go.
_FATES: Final = {
    "X": Fate.REMOVE,
    "Z": Fate.EMPTY,
    "D": Fate.DUMMY,
    "U": Fate.MAP_UID,
    "X/Z": Fate.EMPTY,
    "Z/D": Fate.DUMMY,
    "X/D": Fate.DUMMY,
    "X/Z/D": Fate.DUMMY,
    "X/Z/U*": Fate.CLEAN,
}
_FATES_BY_VR: Final = {
    "SQ": _FATES | {"X/Z": Fate.REMOVE, "X/D": Fate.REMOVE, "X/Z/D": Fate.REMOVE},
    "UI": _FATES | {"D": Fate.MAP_UID},
}

PATIENT_NAME: Final = 0x00100010
PATIENT_ID: Final = 0x00100020
# Both codes, Z and Z/D, allow a value that stands for the patient.
_PSEUDONYMS: Final = {PATIENT_NAME: Fate.PSEUDONYM, PATIENT_ID: Fate.PSEUDONYM}


def rows() -> list[tuple[int, str, str]]:
    """The table: tag, keyword and action code of each attribute."""
    text = (files(__package__) / "basic_profile.tsv").read_text("ascii")
    cells = (line.split("\t") for line in text.splitlines()[1:])
    return [(int(tag, 16), keyword, action) for tag, keyword, action in cells]


def _fate(tag: int, action: str) -> Fate:
    vr = dictionary_VR(tag) if dictionary_has_tag(tag) else ""
    return _FATES_BY_VR.get(vr, _FATES)[action]


FATES: Final[Mapping[int, Fate]] = {tag: _fate(tag, action) for tag, _, action in rows()} | _PSEUDONYMS
"""What becomes of the attributes that the table names."""
