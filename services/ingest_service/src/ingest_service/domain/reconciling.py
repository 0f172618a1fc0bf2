"""What the store holds against what the database says of it."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Shelf(StrEnum):
    """A kind of objects that rows refer to."""

    INSTANCES = "instance"
    REJECTED = "rejected_file"


class Fault(StrEnum):
    """What is wrong with the object that a row refers to."""

    MISSING = "missing"
    SIZE = "size"
    SHA256 = "sha256"


class FindingKind(StrEnum):
    """What was found."""

    ORPHAN = "orphan"
    """No row refers to the object."""
    DANGLING = "dangling"
    """The row's object is gone, or is not what was stored."""
    RESTORED = "restored"
    """The object of an image that was known to be lost is there again."""


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """What a row says of its object."""

    row_id: UUID
    key: str
    size_bytes: int
    sha256: str
    is_given_up: bool
    """Nobody counts on the object: it is known to be lost, or the time to keep it has passed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    tenant: str
    kind: FindingKind
    shelf: Shelf
    key: str
    row_id: UUID | None
    """Of the row that refers to the object, or would; None where the key is none that we give."""
    fault: Fault | None
    size_bytes: int
    """Of the object where it is there, else of what was stored."""


def kind_of(shelf: Shelf, record: ObjectRecord, fault: Fault | None) -> FindingKind | None:
    """What it is that the object of this row has this fault, or none; None where all is as it should be.

    Damaged bytes in the place of a lost image are in the way of whoever sends it again.
    """
    if not record.is_given_up:
        return FindingKind.DANGLING if fault else None
    if shelf is Shelf.REJECTED or fault is Fault.MISSING:
        return None
    return FindingKind.DANGLING if fault else FindingKind.RESTORED
