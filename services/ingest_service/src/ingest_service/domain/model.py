"""What intake keeps of batches, files and images."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ingest_service.domain.dicom import DicomFacts
from ingest_service.domain.lifecycle import BatchState, Counts, FileStatus, batch_state
from ingest_service.domain.reasons import RejectReason
from radrelay_shared.events import Urgency


@dataclass(frozen=True, slots=True)
class Batch:
    """One upload by one person, of any number of files."""

    batch_id: UUID
    tenant: str
    owner_id: str
    label: str | None
    priority: Urgency
    created_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """A batch and where its files stand now."""

    batch: Batch
    counts: Counts

    @property
    def state(self) -> BatchState:
        """Follows from the counts."""
        return batch_state(self.batch.closed_at, self.counts)


@dataclass(frozen=True, slots=True)
class Instance:
    """One stored image."""

    instance_id: UUID
    tenant: str
    owner_id: str
    batch_id: UUID
    """The batch that first brought it."""
    facts: DicomFacts
    object_key: str
    size_bytes: int
    sha256: str
    priority: Urgency
    received_at: datetime


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file as the client sent it, or as its archive's directory names it."""

    name: str
    """Fit to show; never a path."""
    fingerprint: str
    """Together with the name it tells a repeated upload from another file: the SHA-256 where all bytes were read."""


@dataclass(frozen=True, slots=True)
class FileView:
    """One file of a batch, as its sender sees it."""

    name: str
    fingerprint: str
    status: FileStatus
    reason: str | None
    detail: str | None
    instance_id: UUID | None
    report_id: UUID | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Accepted:
    """The outcome of a file that is safe."""

    name: str
    instance_id: UUID
    sop_instance_uid: str
    repeated: bool
    """The same bytes were received before: nothing new was stored."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The outcome of a file that was refused."""

    name: str
    reason: RejectReason
    detail: str


Outcome = Accepted | Rejected
