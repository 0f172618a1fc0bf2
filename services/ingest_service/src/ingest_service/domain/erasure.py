"""Erasing images: what is asked for, and what is left to remove."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ErasureTarget:
    """What is to be erased: one of the two."""

    study_instance_uid: str | None = None
    instance_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ErasableImage:
    """An image that is to be erased."""

    instance_id: UUID
    batch_id: UUID
    """The batch that first brought it."""
    object_key: str


@dataclass(frozen=True, slots=True)
class Leftover:
    """An erased image whose object and published events are not removed yet."""

    tenant: str
    instance_id: UUID
    object_key: str
