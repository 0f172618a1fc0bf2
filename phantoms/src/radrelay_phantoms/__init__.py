"""Synthetic head-CT phantoms written as DICOM."""

from radrelay_phantoms.generate import (
    DEFAULT_DIFFICULTY,
    InvalidRequest,
    choose_kind,
    generate_series,
    generate_slice,
    sample,
)
from radrelay_phantoms.phantom import HaemorrhageKind, Phantom

__all__ = [
    "DEFAULT_DIFFICULTY",
    "HaemorrhageKind",
    "InvalidRequest",
    "Phantom",
    "choose_kind",
    "generate_series",
    "generate_slice",
    "sample",
]
