"""File names as the client gave them: shown back, never used as paths."""

import re
import unicodedata
from typing import Final

MAX_NAME_LENGTH: Final = 255
_DRIVE: Final = re.compile(r"^[A-Za-z]:")


def display_name(raw: str) -> str:
    """A name fit to store and show: no control or format characters, at most 255 characters, keeping its end."""
    kept = "".join(c if unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in raw).strip()
    return kept[-MAX_NAME_LENGTH:] or "unnamed"


def is_unsafe_path(name: str) -> bool:
    """Whether an archive entry's name would lead outside the folder it is unpacked in."""
    slashed = name.replace("\\", "/")
    return slashed.startswith("/") or bool(_DRIVE.match(slashed)) or ".." in slashed.split("/") or "\0" in slashed
