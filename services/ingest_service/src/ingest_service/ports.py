"""What the handlers need of the world outside."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from ingest_service.domain.archive import ArchiveEntry, ArchivePlan
from ingest_service.domain.dicom import DicomFacts
from ingest_service.domain.erasure import ErasableImage, ErasureTarget, Leftover
from ingest_service.domain.idempotency import Claim, KeyedRequest
from ingest_service.domain.model import (
    Accepted,
    Admission,
    Batch,
    BatchProgress,
    FileView,
    Instance,
    ReceivedFile,
    Registration,
    RejectedFile,
    SealedPatient,
    Standing,
    StoredInstance,
)
from ingest_service.domain.quota import Amounts
from ingest_service.domain.reconciling import ObjectRecord, Shelf
from radrelay_shared.audit.ports import AuditTransaction
from radrelay_shared.database import Scope
from radrelay_shared.events import Event, Urgency
from radrelay_shared.objects import ObjectStore


class Validator(Protocol):
    """Judges hostile bytes at a safe distance; both calls raise Refusal."""

    async def validate(self, path: Path) -> DicomFacts:
        """Facts of a DICOM file."""

    async def plan(self, path: Path) -> ArchivePlan:
        """What to unpack of a ZIP archive."""


@dataclass(frozen=True, slots=True)
class DeidentifiedFile:
    """What is known of a file that was de-identified."""

    facts: DicomFacts
    size_bytes: int
    sha256: str
    """In hexadecimal."""
    patient: SealedPatient | None
    """None where the file had no Patient ID."""


class Deidentifier(Protocol):
    """Takes out of one tenant's files who the patient is, at a safe distance."""

    async def deidentify(self, source: Path, target: Path) -> DeidentifiedFile:
        """Write the validated file at `source` to `target`; raises Refusal, and then may leave anything there."""

    def seal(self, content: bytes) -> bytes:
        """Encrypt what was received, to lie in a store until it is de-identified."""

    def unseal(self, sealed: bytes) -> bytes:
        """Take `seal` back; raises Refusal where the content cannot be had any more."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What is known of an entry once it is unpacked."""

    sha256: str
    """Of its content, in hexadecimal."""
    magic: bytes
    """The first four bytes of it."""


class Unpacking(Protocol):
    """An archive that is being unpacked."""

    async def extract(self, entry: ArchiveEntry, target: Path) -> Unpacked:
        """Write an entry to `target`; raises Refusal, and then leaves nothing there."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for: at most `limit` items after the position `after`."""

    limit: int
    after: tuple[Any, Any] | None = None


@dataclass(frozen=True, slots=True)
class RejectedSelection:
    """Which rejected files are meant; None is any."""

    reason: str | None = None
    batch_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Overdue:
    """An image whose result does not come."""

    tenant: str
    instance_id: UUID
    submission: int


class Transaction(AuditTransaction, Protocol):
    """One transaction in one scope; what is outside of the scope is not there."""

    async def add_batch(self, batch: Batch) -> bool:
        """Record a new batch; False where it is there already."""

    async def find_batch(self, batch_id: UUID) -> Batch | None:
        """A batch."""

    async def find_batches(self, batch_ids: Sequence[UUID]) -> Mapping[UUID, Batch]:
        """Those of these batches that there are."""

    async def progress_of(self, batch: Batch) -> BatchProgress:
        """Where the files of a batch stand."""

    async def list_batches(self, page: Page) -> Sequence[BatchProgress]:
        """Batches, newest first; a position is (created_at, batch_id)."""

    async def is_receiving(self, batch_id: UUID) -> bool:
        """Whether the batch is open; it stays so until this transaction ends."""

    async def close_batch(self, batch_id: UUID, at: datetime) -> bool:
        """Close the batch; False when it was closed before."""

    async def awaits_uploads(self, batch_id: UUID) -> bool:
        """Whether resumable uploads of the batch have come whole and are not taken in yet."""

    async def add_instances(self, instances: Sequence[Instance]) -> Collection[UUID]:
        """Record new images, and return which; the content or SOP Instance UID of the others is there already."""

    async def find_instance(self, instance_id: UUID) -> StoredInstance | None:
        """A stored image; nobody else changes it until this transaction ends."""

    async def find_instances(self, instance_ids: Sequence[UUID]) -> Mapping[UUID, StoredInstance]:
        """Those of these images that are stored."""

    async def find_named(self, owner_id: str, sop_instance_uid: str) -> UUID | None:
        """Which image of the owner has this SOP Instance UID."""

    async def hold_object(self, key: str) -> None:
        """Keep others who call this for the same key waiting until this transaction ends.

        Whoever records an object that may have been there, or removes one that nothing refers to, holds it.
        """

    async def object_records(self, shelf: Shelf, after: UUID | None, limit: int) -> Sequence[ObjectRecord]:
        """What the rows that follow `after` say of their objects, in the order of their keys."""

    async def object_record(self, shelf: Shelf, row_id: UUID) -> ObjectRecord | None:
        """What one row says of its object; nobody else changes the row until this transaction ends."""

    async def mark_lost(self, instance_id: UUID, detail: str, at: datetime) -> None:
        """Record that the image's object is gone; where it still waited to be screened, it failed."""

    async def mark_found(self, instance_id: UUID, size_bytes: int, sha256: str) -> None:
        """Record that the image's object is there again, and what it is."""

    async def restore_files(self, batch_id: UUID) -> int:
        """Take back that files of the batch were cancelled, and return how many."""

    async def find_retryable(self, batch_id: UUID, limit: int) -> Sequence[UUID]:
        """Images of the batch that were cancelled, or failed for a reason that may pass; nobody else changes them."""

    async def resubmit(self, instance_ids: Sequence[UUID], at: datetime) -> Sequence[Instance]:
        """Queue images again, each as another submission, where the lifecycle allows it; return those."""

    async def keep_patient(self, tenant: str, patient: SealedPatient, instance_id: UUID, at: datetime) -> None:
        """Record who is behind the pseudonym that an image carries."""

    async def lock_erasable(self, target: ErasureTarget, before: datetime, limit: int) -> Sequence[ErasableImage]:
        """Images of the target that were received before; nobody else changes them until the transaction ends."""

    async def erase_images(self, tenant: str, images: Sequence[ErasableImage], at: datetime) -> None:
        """Remove images with what is recorded of them, and note what is left to remove.

        With the last file of a batch its label and the names of its uploads go, with the last image of a patient the
        mapping of their pseudonym.
        """

    async def forget_leftover(self, instance_id: UUID) -> None:
        """Note that nothing is left of an image."""

    async def accept_files(self, files: Sequence[tuple[Batch, ReceivedFile, UUID]], at: datetime) -> None:
        """Record which image each file of a batch is; no file comes twice."""

    async def refuse_file(self, batch: Batch, file: ReceivedFile, reason: str, detail: str, at: datetime) -> None:
        """Record that a file of the batch was refused; one that was accepted before stays accepted."""

    async def list_files(self, batch_id: UUID, page: Page) -> Sequence[FileView]:
        """Files of a batch by name; a position is (name, fingerprint)."""

    async def find_cancellable(self, batch_id: UUID, limit: int) -> Sequence[UUID]:
        """Images that the batch waits for and nobody has begun with; nobody begins before this transaction ends."""

    async def cancel(self, batch_id: UUID, instance_ids: Sequence[UUID], at: datetime) -> Sequence[Instance]:
        """Cancel files of the batch; return the images that no batch waits for any more, which are cancelled too."""

    async def keep_rejected(self, file: RejectedFile) -> None:
        """Record that a refused file is kept; one that is kept already stays as it is."""

    async def find_rejected(self, rejected_id: UUID) -> RejectedFile | None:
        """A refused file that is kept, or whose time has passed and that nobody has removed yet."""

    async def list_rejected(self, chosen: RejectedSelection, page: Page, now: datetime) -> Sequence[RejectedFile]:
        """Refused files that are kept, newest first; a position is (rejected_at, rejected_id)."""

    async def expire_rejected(self, rejected_id: UUID, at: datetime) -> None:
        """Say that a refused file is kept no longer."""

    async def mark_processing(self, instance_id: UUID, submission: int, at: datetime) -> bool:
        """The three `mark_` calls make a change that the lifecycle allows, and say whether it was made.

        Those that name a submission change nothing once there is a later one.
        """

    async def mark_reported(self, instance_id: UUID, report_id: UUID, at: datetime) -> bool:
        """See `mark_processing`."""

    async def mark_failed(self, instance_id: UUID, submission: int, reason: str, detail: str, at: datetime) -> bool:
        """See `mark_processing`."""

    async def used_on(self, day: date, owner_id: str) -> Amounts:
        """What the tenant and this owner have stored on a day."""

    async def add_usage(self, batch: Batch, day: date, *, files: int, size_bytes: int) -> Amounts:
        """Count new images of the batch's owner, `size_bytes` in all, and return what is used then.

        Call it late: other writers of the tenant wait from here to the end.
        """

    async def announce(self, *events: Event[Any], traceparents: Sequence[str | None] | None = None) -> None:
        """Put events in the outbox; each belongs to the trace of now where none is given for it."""

    async def first_time(self, consumer: str, event: Event[Any]) -> bool:
        """Record in the inbox that the event is applied now; False when it was before."""


class Records(Protocol):
    """The service's database."""

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[Transaction]:
        """Commits when the block ends, rolls back when it raises."""


class Answers(Protocol):
    """Answers to requests with an idempotency key, each caller's own."""

    async def claim(self, caller: Scope, request: KeyedRequest, now: datetime) -> Claim | None:
        """Begin with a request, or see how it stands; None where its key was let go in this moment."""

    async def keep(self, caller: Scope, key: str, work_id: UUID, answer: str) -> None:
        """Remember the answer."""

    async def let_go(self, caller: Scope, key: str, work_id: UUID) -> None:
        """Forget a request that got no answer."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The unfinished images of a lane."""

    number: int
    oldest_since: datetime
    """When the oldest was received, or where it was sent again, when something last became of it."""


class Survey(Protocol):
    """What the sweeper sees across tenants."""

    async def tenants(self) -> Sequence[str]:
        """All who have ever opened a batch, by name."""

    async def overdue(self, before: datetime, limit: int) -> Sequence[Overdue]:
        """Images that have been queued or processing, unchanged, since before the given time."""

    async def unfinished(self) -> Mapping[Urgency, Unfinished]:
        """Images that are queued or processing, in the lanes that have any."""

    async def expired_files(self, now: datetime, limit: int) -> Sequence[RejectedFile]:
        """Rejected files that are kept no longer."""

    async def forget_file(self, file: RejectedFile) -> None:
        """Remove what is recorded of a rejected file, after its object."""

    async def forget_answers(self, before: datetime) -> int:
        """Remove the answers to requests that came before the given time, and return how many."""

    async def idle_batches(self, before: datetime, limit: int) -> Sequence[Batch]:
        """Open batches that have received nothing since before the given time."""


class Leftovers(Protocol):
    """What is left to remove of erased images, of all tenants."""

    async def oldest(self, limit: int) -> Sequence[Leftover]:
        """What is left, oldest first."""

    async def forget_events(self, instance_ids: Collection[UUID]) -> Collection[UUID]:
        """Remove what was published of images; return those of which something waits to be published."""


class BatchChanges(Protocol):
    """Tells when a batch changes."""

    def subscribe(self, payload: str) -> AbstractAsyncContextManager["Changes"]:
        """Wake-ups for the batch of this identifier while the block runs."""


class Changes(Protocol):
    """Wake-ups for one batch; many changes may come as one."""

    async def wait(self, timeout_s: float) -> None:
        """Return after a change since the last call, or after the time."""


class Register(Protocol):
    """Records images; what comes in the same moment goes in one transaction."""

    async def admit(self, caller: Scope, batch_id: UUID) -> Admission:
        """What is to be known before an upload into the batch is read."""

    async def look_up(self, caller: Scope, batch: Batch, instance_id: UUID) -> Standing:
        """What is to be known before a file of the batch is looked at."""

    async def add(self, caller: Scope, registration: Registration) -> Accepted:
        """Record and announce an image whose object is stored.

        Where somebody was faster with the same bytes, the file points to that image.

        Raises:
            Refusal: the owner's SOP Instance UID has other content, or other files took what was left of the quota;
                nothing is recorded, and the object stays for the next try.
            Conflict: the batch was closed meanwhile.
        """


@dataclass(frozen=True, slots=True)
class Intake:
    """What receiving files takes."""

    records: Records
    register: Register
    objects: ObjectStore
    validator: Validator
    new_path: Callable[[], Path]
    """A path on the disk that uploads pass through; nothing has it yet."""
    rejected_retention_s: float
    """How long a file that was refused is kept to be looked into."""
    open_archive: Callable[[Path], AbstractAsyncContextManager[Unpacking]]
    """Unpack the archive at a path; its plan was made before."""
    archive_slots: asyncio.Semaphore
    """Bounds the archives that are open at the same time in this process."""
    quota_of: Callable[[str], Amounts]
    """What a tenant, and each of its users, may store in a day."""
    deidentifiers: Mapping[str, Deidentifier] = field(default_factory=dict)
    """By tenant; files of those that are not here are stored as they were received."""
    store_timeout_s: float = 40.0
    """How long the object store may take for one call, and a second more for each MiB of a file."""
