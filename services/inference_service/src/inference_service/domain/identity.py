"""Event ids that follow from the work, so that a repeat of it announces the same event."""

from typing import Final
from uuid import UUID, uuid5

_NAMESPACE: Final = UUID("6f1c7a52-3f0e-5b8e-9d0b-6c1d2f6f0a11")


def started_id(instance_id: UUID, attempt: int) -> str:
    """One id for each attempt at an image."""
    return _derive("started", instance_id, str(attempt))


def completed_id(instance_id: UUID, model_digest: str) -> str:
    """One id for an image and a model."""
    return _derive("completed", instance_id, model_digest)


def shadow_scored_id(instance_id: UUID, model_digest: str) -> str:
    """One id for an image and a model on trial."""
    return _derive("shadow_scored", instance_id, model_digest)


def failed_id(instance_id: UUID, reason: str) -> str:
    """One id for an image and a reason, so that a replay that fails for another reason is heard."""
    return _derive("failed", instance_id, reason)


def _derive(what: str, instance_id: UUID, detail: str) -> str:
    return str(uuid5(_NAMESPACE, f"{what}:{instance_id}:{detail}"))
