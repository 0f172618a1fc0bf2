"""Ending a batch early: what nobody has begun with is left."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from ingest_service.domain.audit import AuditAction
from ingest_service.domain.model import BatchProgress, Instance
from ingest_service.handlers.batches import close_batch, get_batch, own_batch
from ingest_service.handlers.registering import EVENT_SOURCE
from ingest_service.ports import Records
from radrelay_shared.audit import AuditFact
from radrelay_shared.database import Scope
from radrelay_shared.events import Event, InstanceCancelled, make_event

_AT_ONCE: Final = 500
"""Images in one transaction: a batch may hold many thousands."""


async def cancel_batch(records: Records, caller: Scope, batch_id: UUID) -> BatchProgress:
    """Close the batch, and cancel its files that nobody has begun with; those in work finish.

    An image that another batch waits for goes on there. Cancelling twice is the same as cancelling once.

    Raises:
        NotFound, Forbidden: see `own_batch`.
    """
    batch = await own_batch(records, caller, batch_id)
    await close_batch(records, caller, batch_id, leave_uploads=True)
    found = _AT_ONCE
    while found == _AT_ONCE:
        at = datetime.now(UTC)
        async with records.transaction(caller) as tx:
            instance_ids = await tx.find_cancellable(batch_id, _AT_ONCE)
            found = len(instance_ids)
            if instance_ids:
                for instance in await tx.cancel(batch_id, instance_ids, at):
                    await tx.announce(_cancelled(instance, at))
                await tx.audit(AuditFact(batch.tenant, caller.owner_id, AuditAction.BATCH_CANCELLED, at, batch_id))
    return await get_batch(records, caller, batch_id)


def _cancelled(instance: Instance, at: datetime) -> Event[InstanceCancelled]:
    data = InstanceCancelled(
        instance_id=instance.instance_id,
        batch_id=instance.batch_id,
        owner_id=instance.owner_id,
        submission=instance.submission,
        cancelled_at=at,
    )
    return make_event(data, tenant=instance.tenant, source=EVENT_SOURCE)
