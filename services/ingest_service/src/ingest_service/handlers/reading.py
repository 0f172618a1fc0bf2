"""What is read is recorded: each of these returns only when the tenant's audit chain says who read what."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from ingest_service.domain.audit import AuditAction
from ingest_service.domain.model import BatchProgress, FileView
from ingest_service.handlers.batches import find_batch, get_batch
from ingest_service.ports import Page, Records
from radrelay_shared.audit import AuditFact
from radrelay_shared.audit.ports import ReadLog
from radrelay_shared.database import Scope


async def read_batch(records: Records, reads: ReadLog, caller: Scope, batch_id: UUID) -> BatchProgress:
    """A batch that the caller may see.

    Raises:
        NotFound: there is none.
    """
    progress = await get_batch(records, caller, batch_id)
    await reads.record(_fact(AuditAction.BATCH_READ, caller, batch_id=batch_id))
    return progress


async def begin_watching(records: Records, reads: ReadLog, caller: Scope, batch_id: UUID) -> None:
    """Record that the caller follows a batch from now on: one record, however long and often the batch changes.

    Raises:
        NotFound: there is no such batch.
    """
    await get_batch(records, caller, batch_id)
    await reads.record(_fact(AuditAction.BATCH_WATCHED, caller, batch_id=batch_id))


async def list_batches(records: Records, reads: ReadLog, caller: Scope, page: Page) -> Sequence[BatchProgress]:
    """The batches that the caller may see, newest first."""
    async with records.transaction(caller) as tx:
        found = await tx.list_batches(page)
    await reads.record(_fact(AuditAction.BATCHES_LISTED, caller))
    return found


async def list_files(records: Records, reads: ReadLog, caller: Scope, batch_id: UUID, page: Page) -> Sequence[FileView]:
    """The files of a batch that the caller may see.

    Raises:
        NotFound: there is no such batch.
    """
    async with records.transaction(caller) as tx:
        await find_batch(tx, batch_id)
        found = await tx.list_files(batch_id, page)
    await reads.record(_fact(AuditAction.FILES_LISTED, caller, batch_id=batch_id))
    return found


def _fact(action: AuditAction, caller: Scope, *, batch_id: UUID | None = None) -> AuditFact:
    return AuditFact(caller.tenant, caller.owner_id, action, datetime.now(UTC), batch_id)
