"""What intake records in the audit trail; the trail's readers and refusals are recorded by `radrelay_shared`."""

from enum import StrEnum


class AuditAction(StrEnum):
    """What was done."""

    BATCH_CREATED = "batch.created"
    BATCH_CLOSED = "batch.closed"
    BATCH_RETRIED = "batch.retried"
    BATCH_CANCELLED = "batch.cancelled"
    FILE_ACCEPTED = "file.accepted"
    FILE_REPEATED = "file.repeated"
    FILE_REJECTED = "file.rejected"
    BATCHES_LISTED = "batches.listed"
    BATCH_READ = "batch.read"
    BATCH_WATCHED = "batch.watched"
    """Live progress was asked for: one record for the whole stream."""
    FILES_LISTED = "files.listed"
    REJECTED_LISTED = "rejected.listed"
    REJECTED_READ = "rejected.read"
    REJECTED_RESUBMITTED = "rejected.resubmitted"
    OBJECT_REMOVED = "object.removed"
    """An object that no record referred to."""
    INSTANCE_LOST = "instance.lost"
    INSTANCE_RESTORED = "instance.restored"
    REJECTED_LOST = "rejected.lost"
    PATIENT_REIDENTIFIED = "patient.reidentified"
    INSTANCE_ERASED = "instance.erased"
    """With its files' names and its object; the record names it by our identifier, and the patient by none."""
