"""What intake keeps of batches, files and images."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from ingest_service.domain.dicom import DicomFacts
from ingest_service.domain.identity import InstanceUids, SopReference
from ingest_service.domain.lifecycle import BatchState, Counts, FileStatus, batch_state
from ingest_service.domain.quota import Amounts
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
    """Size and digest of the object, which differs from the file that was received where the tenant de-identifies."""
    priority: Urgency
    received_at: datetime
    submission: int = 1
    """Which time it was sent to be screened: 1, and one more at each retry."""
    traceparent: str | None = None
    """The span of the upload that first brought it."""


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """What somebody who brings the same bytes again needs to know of an image."""

    uids: InstanceUids
    is_cancelled: bool
    is_lost: bool
    """Its object is gone, as far as we know: whoever brings the bytes heals it."""
    waits_for_object: bool
    """It failed for want of its object, and is to be screened once that is there again."""


@dataclass(frozen=True, slots=True)
class SealedPatient:
    """A pseudonym, and the Patient ID behind it, encrypted under a key of the tenant."""

    pseudonym: str
    sealed_patient_id: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file as the client sent it, or as its archive's directory names it."""

    name: str
    """Fit to show; never a path. Where the tenant de-identifies, the file's place in its upload."""
    fingerprint: str
    """Together with the name it tells a repeated upload from another file: the SHA-256 where all bytes were read."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on this disk, and where it goes in the object store."""

    key: str
    path: Path
    size_bytes: int
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Registration:
    """An image whose object is stored, to be recorded and announced."""

    batch: Batch
    file: ReceivedFile
    instance: Instance
    quota: Amounts
    """What the tenant and the owner may store in a day."""
    patient: SealedPatient | None = None
    """Who is behind the pseudonym in the image."""
    found: Upload | None = None
    """The file, where its object was there already."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is to be known before a file is looked at."""

    known: StoredInstance | None
    """The image of the same bytes, where it was received before."""
    used: Amounts
    """What the tenant and the owner have stored today."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What is to be known before an upload is read."""

    batch: Batch | None
    """None where the caller sees none."""
    used: Amounts
    """What the caller's tenant and the caller have stored today."""


@dataclass(frozen=True, slots=True)
class RejectedFile:
    """A file that was refused and is kept, for a time, to be looked into."""

    rejected_id: UUID
    tenant: str
    owner_id: str
    batch_id: UUID
    name: str
    fingerprint: str
    reason: str
    detail: str
    size_bytes: int
    object_key: str
    rejected_at: datetime
    kept_until: datetime


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
    sop: SopReference
    repeated: bool
    """The same bytes were received before: nothing new was stored."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The outcome of a file that was refused."""

    name: str
    reason: RejectReason
    detail: str
    sop: SopReference | None = None
    """What the file says it is; None where that could not be read."""


Outcome = Accepted | Rejected
