"""Erasing images, as the report service's events ask for it: rows first, then, in steps that repeat, their objects."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from ingest_service import metrics
from ingest_service.domain.audit import AuditAction
from ingest_service.domain.erasure import ErasableImage, ErasureTarget
from ingest_service.domain.reconciling import Shelf
from ingest_service.ports import Leftovers, Records
from radrelay_shared.audit import AuditFact
from radrelay_shared.database import Scope
from radrelay_shared.events import ErasureRequested, Event, ReportErased
from radrelay_shared.objects import ObjectEraser, keys

ERASER: Final = "ingest-eraser"
_AT_ONCE: Final = 100
_LEFTOVERS_AT_ONCE: Final = 500


async def apply_report_erased(records: Records, event: Event[ReportErased]) -> None:
    """The image goes with its report. Said again it changes nothing, also where the image was sent anew since then."""
    await _erase(records, event.tenant, ErasureTarget(instance_id=event.data.instance_id), event.data.erased_at)


async def apply_erasure_request(records: Records, event: Event[ErasureRequested]) -> None:
    """All images of the study, or the image, go, also those that have no report; likewise."""
    target = ErasureTarget(event.data.study_instance_uid, event.data.instance_id)
    await _erase(records, event.tenant, target, event.data.requested_at)


async def _erase(records: Records, tenant: str, target: ErasureTarget, before: datetime) -> None:
    """Erase what was received before, some images a transaction."""
    while True:
        async with records.transaction(Scope.service(tenant)) as tx:
            images = await tx.lock_erasable(target, before, _AT_ONCE)
            if not images:
                return
            now = datetime.now(UTC)
            await tx.erase_images(tenant, images, now)
            await tx.audit(*_facts(tenant, images, now))
        metrics.ERASED.inc(len(images))


def _facts(tenant: str, images: Sequence[ErasableImage], at: datetime) -> list[AuditFact]:
    """Our own identifiers only, none of the patient's."""
    return [
        AuditFact(tenant, ERASER, AuditAction.INSTANCE_ERASED, at, image.batch_id, image.instance_id)
        for image in images
    ]


async def remove_leftovers(records: Records, leftovers: Leftovers, objects: ObjectEraser) -> int:
    """Remove every version of the objects of erased images, and what was published of them; return of how many."""
    found = await leftovers.oldest(_LEFTOVERS_AT_ONCE)
    if not found:
        return 0
    waiting = await leftovers.forget_events({each.instance_id for each in found})
    removable = [each for each in found if each.instance_id not in waiting]
    for each in removable:
        async with records.transaction(Scope.service(each.tenant)) as tx:
            # Who sends the same file again meanwhile waits, and puts its object anew; or came first, and keeps it.
            await tx.hold_object(each.object_key)
            if await tx.object_record(Shelf.INSTANCES, each.instance_id) is None:
                await objects.erase(each.object_key)
                await objects.erase(keys.results(each.tenant, each.instance_id))
            await tx.forget_leftover(each.instance_id)
    return len(removable)
