"""Sending the images of a batch again whose screening failed for a reason that may pass, or that were cancelled."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from ingest_service.domain.audit import AuditAction
from ingest_service.domain.model import BatchProgress
from ingest_service.handlers.batches import get_batch, own_batch
from ingest_service.handlers.registering import submit_again
from ingest_service.ports import Records
from radrelay_shared.audit import AuditFact
from radrelay_shared.database import Scope

_AT_ONCE: Final = 500
"""Images in one transaction: a batch may hold many thousands."""


@dataclass(frozen=True, slots=True)
class Retried:
    """What a retry did."""

    images: int
    """How many were sent to be screened again."""
    progress: BatchProgress


async def retry_batch(records: Records, caller: Scope, batch_id: UUID) -> Retried:
    """Send images again that failed for a reason that may pass (`lifecycle.MAY_PASS`) or were cancelled.

    Each becomes another submission. Whether the batch still receives does not matter, and stays as it is.

    Raises:
        NotFound, Forbidden: see `own_batch`.
    """
    batch = await own_batch(records, caller, batch_id)
    fact = AuditFact(batch.tenant, caller.owner_id, AuditAction.BATCH_RETRIED, datetime.now(UTC), batch_id)
    async with records.transaction(caller) as tx:
        if await tx.restore_files(batch_id):
            await tx.audit(fact)
    images, found = 0, _AT_ONCE
    while found == _AT_ONCE:
        async with records.transaction(caller) as tx:
            instance_ids = await tx.find_retryable(batch_id, _AT_ONCE)
            found = len(instance_ids)
            if sent := await submit_again(tx, instance_ids, datetime.now(UTC)):
                await tx.audit(fact)
            images += sent
    return Retried(images, await get_batch(records, caller, batch_id))
