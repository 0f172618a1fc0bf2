"""Event ids that follow from the work, so that a repeat of it announces the same event."""

from typing import Final
from uuid import UUID, uuid5

_NAMESPACE: Final = UUID("6f1c7a52-3f0e-5b8e-9d0b-6c1d2f6f0a11")


def started_id(instance_id: UUID, submission: int, attempt: int) -> str:
    """One id for each attempt at a submission of an image."""
    return _derive("started", instance_id, str(attempt), submission)


def completed_id(instance_id: UUID, submission: int, model_digest: str) -> str:
    """One id for a submission of an image and a model."""
    return _derive("completed", instance_id, model_digest, submission)


def shadow_scored_id(instance_id: UUID, model_digest: str) -> str:
    """One id for an image and a model on trial, whichever submission: a retry is not a second opinion."""
    return _derive("shadow_scored", instance_id, model_digest)


def failed_id(instance_id: UUID, submission: int, reason: str) -> str:
    """One id for a submission of an image and a reason.

    A replay that fails for another reason is heard, and a retry that fails for the same one.
    """
    return _derive("failed", instance_id, reason, submission)


def _derive(what: str, instance_id: UUID, detail: str, submission: int = 1) -> str:
    # The first submission has none in its name: its ids are those from before images could be retried.
    again = f":{submission}" if submission > 1 else ""
    return str(uuid5(_NAMESPACE, f"{what}:{instance_id}:{detail}{again}"))
