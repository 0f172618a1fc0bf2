"""Identifiers that follow from what they stand for, so that whoever writes it needs not look for it first.

Each is the first 16 bytes of a SHA-256; migration 0005 makes the same ones in SQL.
"""

import hashlib
from functools import lru_cache
from typing import Final
from uuid import UUID

_SEPARATOR: Final = "\x1f"
_REMEMBERED: Final = 1024
"""Images of the same series come together."""


@lru_cache(_REMEMBERED)
def study_id_for(tenant: str, owner_id: str, study_instance_uid: str) -> UUID:
    """The identifier of an owner's study. Neither the name of a tenant nor a UID can hold the separator."""
    return _digest(_SEPARATOR.join((tenant, owner_id, study_instance_uid)))


@lru_cache(_REMEMBERED)
def series_id_for(study_id: UUID, series_instance_uid: str) -> UUID:
    """The identifier of a series within a study."""
    return _digest(f"{study_id}{_SEPARATOR}{series_instance_uid}")


@lru_cache(_REMEMBERED)
def kind_id_for(model_digest: str, modality: str, finding: str, *, positive: bool) -> UUID:
    """The identifier of a kind of result: what a model said of a modality. All digests are of one length."""
    return _digest(f"{model_digest}{len(modality)}:{modality}{'+' if positive else '-'}{finding}")


def _digest(text: str) -> UUID:
    return UUID(bytes=hashlib.sha256(text.encode()).digest()[:16])
