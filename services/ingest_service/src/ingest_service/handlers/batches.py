"""Batches: make, close, look up, watch. What is shown to somebody is read by `handlers.reading`, which records it."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from ingest_service.domain.audit import AuditAction
from ingest_service.domain.lifecycle import BatchState, Counts
from ingest_service.domain.model import Batch, BatchProgress
from ingest_service.ports import BatchChanges, Records, Transaction
from radrelay_shared.audit import AuditFact
from radrelay_shared.database import Scope
from radrelay_shared.events import Urgency
from radrelay_shared.http import Conflict, Forbidden, NotFound

_PAUSE_S: Final = 0.1
"""Changes that come closer together than this reach a watcher as one."""
_RECHECK_S: Final = 15.0
"""A watcher looks again after so long even without a wake-up, in case one was lost."""
_UPLOADS_RETRY_AFTER_S: Final = 1


async def create_batch(
    records: Records, caller: Scope, *, batch_id: UUID, label: str | None, priority: Urgency
) -> BatchProgress:
    """Open a batch that belongs to the caller; one that is there already is opened no other time."""
    batch = Batch(batch_id, caller.tenant, caller.owner_id, label, priority, datetime.now(UTC), closed_at=None)
    async with records.transaction(caller) as tx:
        if not await tx.add_batch(batch):
            return await tx.progress_of(await find_batch(tx, batch_id))
        await tx.audit(_fact(AuditAction.BATCH_CREATED, batch, caller.owner_id, batch.created_at))
    return BatchProgress(batch, Counts())


async def close_batch(records: Records, caller: Scope, batch_id: UUID, *, leave_uploads: bool = False) -> BatchProgress:
    """End receiving; closing twice is the same as closing once.

    Resumable uploads that have come whole are waited for, unless `leave_uploads`: then nothing more of them is taken
    in.

    Raises:
        NotFound, Forbidden: see `own_batch`.
        Conflict: such an upload is not taken in yet; close again later.
    """
    batch = await own_batch(records, caller, batch_id)
    at = datetime.now(UTC)
    async with records.transaction(caller) as tx:
        if await tx.close_batch(batch_id, at):
            # Looked at with the batch locked: an upload that comes whole now sees it closed.
            if not leave_uploads and await tx.awaits_uploads(batch_id):
                raise Conflict(
                    code="uploads_pending",
                    detail="An upload of this batch has come whole and is being taken in; close the batch after that.",
                    headers={"Retry-After": str(_UPLOADS_RETRY_AFTER_S)},
                )
            await tx.audit(_fact(AuditAction.BATCH_CLOSED, batch, caller.owner_id, at))
    return await get_batch(records, caller, batch_id)


async def get_batch(records: Records, caller: Scope, batch_id: UUID) -> BatchProgress:
    """A batch that the caller may see.

    Raises:
        NotFound: there is none.
    """
    async with records.transaction(caller) as tx:
        return await tx.progress_of(await find_batch(tx, batch_id))


async def own_batch(records: Records, caller: Scope, batch_id: UUID) -> Batch:
    """A batch that the caller may change.

    Raises:
        NotFound: the caller sees none.
        Forbidden: the caller, an administrator, sees it, but it is somebody else's.
    """
    async with records.transaction(caller) as tx:
        return check_owner(caller, await tx.find_batch(batch_id))


def check_owner(caller: Scope, batch: Batch | None) -> Batch:
    """The batch that was found, which the caller may change.

    Raises:
        NotFound: there is none.
        Forbidden: the caller, an administrator, sees it, but it is somebody else's.
    """
    found = _check_found(batch)
    if found.owner_id != caller.owner_id:
        raise Forbidden(code="not_batch_owner", detail="Only the owner of a batch changes it.")
    return found


async def watch_batch(
    records: Records, changes: BatchChanges, caller: Scope, batch_id: UUID
) -> AsyncGenerator[BatchProgress, None]:
    """The batch as it is now, then each time its progress changes, until it is done.

    Raises:
        NotFound: there is no such batch.
    """
    async with changes.subscribe(str(batch_id)) as wake_ups:
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


async def find_batch(tx: Transaction, batch_id: UUID) -> Batch:
    """A batch that the transaction's scope has.

    Raises:
        NotFound: there is none.
    """
    return _check_found(await tx.find_batch(batch_id))


def _check_found(batch: Batch | None) -> Batch:
    if batch is None:
        raise NotFound(code="batch_not_found", detail="There is no such batch.")
    return batch


def _fact(action: AuditAction, batch: Batch, actor: str, at: datetime) -> AuditFact:
    return AuditFact(tenant=batch.tenant, actor=actor, action=action, at=at, batch_id=batch.batch_id)
