"""Batches: make, close, read, watch."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

from ingest_service.domain.audit import AuditAction, AuditFact
from ingest_service.domain.lifecycle import BatchState, Counts
from ingest_service.domain.model import Batch, BatchProgress, FileView
from ingest_service.ports import BatchChanges, Page, Records, Transaction
from radrelay_shared.database import Scope
from radrelay_shared.events import Urgency
from radrelay_shared.http import Forbidden, NotFound

_PAUSE_S: Final = 0.1
"""Changes that come closer together than this reach a watcher as one."""
_RECHECK_S: Final = 15.0
"""A watcher looks again after so long even without a wake-up, in case one was lost."""


async def create_batch(records: Records, caller: Scope, *, label: str | None, priority: Urgency) -> BatchProgress:
    """Open a batch that belongs to the caller."""
    batch = Batch(uuid4(), caller.tenant, caller.owner_id, label, priority, datetime.now(UTC), closed_at=None)
    async with records.transaction(caller) as tx:
        await tx.add_batch(batch)
        await tx.audit(_fact(AuditAction.BATCH_CREATED, batch, caller.owner_id, batch.created_at))
    return BatchProgress(batch, Counts())


async def close_batch(records: Records, caller: Scope, batch_id: UUID) -> BatchProgress:
    """End receiving; closing twice is the same as closing once.

    Raises:
        NotFound, Forbidden: see `own_batch`.
    """
    batch = await own_batch(records, caller, batch_id)
    at = datetime.now(UTC)
    async with records.transaction(caller) as tx:
        if await tx.close_batch(batch_id, at):
            await tx.audit(_fact(AuditAction.BATCH_CLOSED, batch, caller.owner_id, at))
    return await get_batch(records, caller, batch_id)


async def get_batch(records: Records, caller: Scope, batch_id: UUID) -> BatchProgress:
    """A batch that the caller may see.

    Raises:
        NotFound: there is none.
    """
    async with records.transaction(caller) as tx:
        return await tx.progress_of(await _find(tx, batch_id))


async def own_batch(records: Records, caller: Scope, batch_id: UUID) -> Batch:
    """A batch that the caller may change.

    Raises:
        NotFound: the caller sees none.
        Forbidden: the caller, an administrator, sees it, but it is somebody else's.
    """
    async with records.transaction(caller) as tx:
        batch = await _find(tx, batch_id)
    if batch.owner_id != caller.owner_id:
        raise Forbidden(code="not_batch_owner", detail="Only the owner of a batch changes it.")
    return batch


async def list_batches(records: Records, caller: Scope, page: Page) -> Sequence[BatchProgress]:
    """The batches that the caller may see, newest first."""
    async with records.transaction(caller) as tx:
        return await tx.list_batches(page)


async def list_files(records: Records, caller: Scope, batch_id: UUID, page: Page) -> Sequence[FileView]:
    """The files of a batch that the caller may see.

    Raises:
        NotFound: there is no such batch.
    """
    async with records.transaction(caller) as tx:
        await _find(tx, batch_id)
        return await tx.list_files(batch_id, page)


async def watch_batch(
    records: Records, changes: BatchChanges, caller: Scope, batch_id: UUID
) -> AsyncGenerator[BatchProgress, None]:
    """The batch as it is now, then each time its progress changes, until it is done.

    Raises:
        NotFound: there is no such batch.
    """
    async with changes.subscribe(batch_id) as wake_ups:
        last: BatchProgress | None = None
        while True:
            progress = await get_batch(records, caller, batch_id)
            if progress != last:
                yield progress
            if progress.state is BatchState.DONE:
                return
            last = progress
            await asyncio.sleep(_PAUSE_S)
            await wake_ups.wait(_RECHECK_S)


async def _find(tx: Transaction, batch_id: UUID) -> Batch:
    batch = await tx.find_batch(batch_id)
    if batch is None:
        raise NotFound(code="batch_not_found", detail="There is no such batch.")
    return batch


def _fact(action: AuditAction, batch: Batch, actor: str, at: datetime) -> AuditFact:
    return AuditFact(tenant=batch.tenant, actor=actor, action=action, at=at, batch_id=batch.batch_id)
