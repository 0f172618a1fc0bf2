"""What the handlers need of the world outside."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from ingest_service.domain.archive import ArchiveEntry, ArchivePlan
from ingest_service.domain.audit import AuditFact
from ingest_service.domain.dicom import DicomFacts
from ingest_service.domain.model import Batch, BatchProgress, FileView, Instance, ReceivedFile
from radrelay_shared.database import Scope
from radrelay_shared.events import Event, InstanceStored
from radrelay_shared.objects import ObjectStore


class Validator(Protocol):
    """Judges hostile bytes at a safe distance; both calls raise Refusal."""

    async def validate(self, path: Path) -> DicomFacts:
        """Facts of a DICOM file."""

    async def plan(self, path: Path) -> ArchivePlan:
        """What to unpack of a ZIP archive."""


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
class Overdue:
    """An image whose result does not come."""

    tenant: str
    instance_id: UUID


class Transaction(Protocol):
    """One transaction in one scope; what is outside of the scope is not there."""

    async def add_batch(self, batch: Batch) -> None:
        """Record a new batch."""

    async def find_batch(self, batch_id: UUID) -> Batch | None:
        """A batch."""

    async def progress_of(self, batch: Batch) -> BatchProgress:
        """Where the files of a batch stand."""

    async def list_batches(self, page: Page) -> Sequence[BatchProgress]:
        """Batches, newest first; a position is (created_at, batch_id)."""

    async def is_receiving(self, batch_id: UUID) -> bool:
        """Whether the batch is open; it stays so until this transaction ends."""

    async def close_batch(self, batch_id: UUID, at: datetime) -> bool:
        """Close the batch; False when it was closed before."""

    async def add_instance(self, instance: Instance) -> bool:
        """Record a new image; False where its content or its SOP Instance UID is there already."""

    async def find_instance_uid(self, instance_id: UUID) -> str | None:
        """The SOP Instance UID of a stored image."""

    async def accept_file(self, batch: Batch, file: ReceivedFile, instance_id: UUID, at: datetime) -> None:
        """Record that a file of the batch is this image."""

    async def refuse_file(self, batch: Batch, file: ReceivedFile, reason: str, detail: str, at: datetime) -> None:
        """Record that a file of the batch was refused; one that was accepted before stays accepted."""

    async def list_files(self, batch_id: UUID, page: Page) -> Sequence[FileView]:
        """Files of a batch by name; a position is (name, fingerprint)."""

    async def mark_processing(self, instance_id: UUID, at: datetime) -> bool:
        """The three `mark_` calls make a change that the lifecycle allows, and say whether it was made."""

    async def mark_reported(self, instance_id: UUID, report_id: UUID, at: datetime) -> bool:
        """See `mark_processing`."""

    async def mark_failed(self, instance_id: UUID, reason: str, detail: str, at: datetime) -> bool:
        """See `mark_processing`."""

    async def announce(self, event: Event[InstanceStored]) -> None:
        """Put an event in the outbox."""

    async def first_time(self, consumer: str, event: Event[Any]) -> bool:
        """Record in the inbox that the event is applied now; False when it was before."""

    async def audit(self, fact: AuditFact) -> None:
        """Append to the tenant's audit chain. Call it last: other writers of the tenant wait from here to the end."""


class Records(Protocol):
    """The service's database."""

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[Transaction]:
        """Commits when the block ends, rolls back when it raises."""


class Survey(Protocol):
    """What the sweeper sees across tenants."""

    async def overdue(self, before: datetime, limit: int) -> Sequence[Overdue]:
        """Images that have been queued or processing, unchanged, since before the given time."""

    async def idle_batches(self, before: datetime, limit: int) -> Sequence[Batch]:
        """Open batches that have received nothing since before the given time."""


class BatchChanges(Protocol):
    """Tells when a batch changes."""

    def subscribe(self, batch_id: UUID) -> AbstractAsyncContextManager["Changes"]:
        """Wake-ups for one batch while the block runs."""


class Changes(Protocol):
    """Wake-ups for one batch; many changes may come as one."""

    async def wait(self, timeout_s: float) -> None:
        """Return after a change since the last call, or after the time."""


@dataclass(frozen=True, slots=True)
class Intake:
    """What receiving files takes."""

    records: Records
    objects: ObjectStore
    validator: Validator
    new_path: Callable[[], Path]
    """A path on the disk that uploads pass through; nothing has it yet."""
    open_archive: Callable[[Path], AbstractAsyncContextManager[Unpacking]]
    """Unpack the archive at a path; its plan was made before."""
