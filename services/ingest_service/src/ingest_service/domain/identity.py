"""Who an image is: its content, within its tenant and owner; and what DICOM calls it."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

_NAMESPACE: Final = UUID("cb44376b-d80d-5205-acd5-f27eb294f12f")


def rejected_id_of(batch_id: UUID, name: str, sha256: str) -> UUID:
    """The identifier of a file of a batch that was refused: the same file sent again is the same."""
    return uuid5(batch_id, f"{sha256}:{name}")


def instance_id_of(tenant: str, owner_id: str, sha256: str) -> UUID:
    """The identifier of these bytes for this owner: the same bytes give the same image, for nobody else.

    `sha256` is the lower-case hexadecimal digest of the file as received.
    """
    return uuid5(_NAMESPACE, "\x1f".join((tenant, owner_id, sha256)))


@dataclass(frozen=True, slots=True)
class SopReference:
    """A SOP instance and its class, as references name them (PS3.3 table 10-11)."""

    class_uid: str
    instance_uid: str


@dataclass(frozen=True, slots=True)
class InstanceUids:
    """What DICOM calls an image."""

    sop: SopReference
    study_instance_uid: str
