"""Ends what would otherwise stay unfinished for ever."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from ingest_service import metrics
from ingest_service.domain.audit import AuditAction
from ingest_service.domain.idempotency import KEPT_FOR_S
from ingest_service.domain.lifecycle import DEADLINE_EXCEEDED
from ingest_service.handlers.taking_in import remove_parts
from ingest_service.ports import Records, Survey
from ingest_service.upload_ports import UploadQueue
from radrelay_shared.audit import AuditFact
from radrelay_shared.database import Scope
from radrelay_shared.objects import ObjectStore

SWEEPER: Final = "ingest-sweeper"
_AT_ONCE: Final = 500
_UPLOAD_GRACE_S: Final = 3600.0
"""Nobody begins to store a part of an upload that has expired; after so long nobody stores one either."""

_log = logging.getLogger(__name__)


async def fail_overdue(records: Records, survey: Survey, deadline_s: float) -> int:
    """Fail the images that have been queued or processing, unchanged, for `deadline_s`; return how many."""
    now = datetime.now(UTC)
    failed = 0
    for image in await survey.overdue(now - timedelta(seconds=deadline_s), _AT_ONCE):
        async with records.transaction(Scope.service(image.tenant)) as tx:
            detail = f"no result within {deadline_s:g} s"
            failed += await tx.mark_failed(image.instance_id, image.submission, DEADLINE_EXCEEDED, detail, now)
    if failed:
        metrics.SWEPT.labels(kind=metrics.OVERDUE).inc(failed)
        _log.warning("images failed by their deadline", extra={"images": failed})
    return failed


async def remove_rejected(survey: Survey, objects: ObjectStore) -> int:
    """Remove rejected files whose time has passed, each object before its row; return how many."""
    expired = await survey.expired_files(datetime.now(UTC), _AT_ONCE)
    for file in expired:
        await objects.delete(file.object_key)
        await survey.forget_file(file)
    if expired:
        metrics.SWEPT.labels(kind=metrics.REJECTED_FILE).inc(len(expired))
    return len(expired)


async def remove_expired_uploads(queue: UploadQueue, objects: ObjectStore) -> int:
    """Remove resumable uploads whose time has passed, and that are over since then; return how many."""
    expired = await queue.expired(datetime.now(UTC) - timedelta(seconds=_UPLOAD_GRACE_S), _AT_ONCE)
    for upload in expired:
        await remove_parts(objects, upload)
        await queue.forget(upload)
    if expired:
        metrics.SWEPT.labels(kind=metrics.UPLOAD).inc(len(expired))
    return len(expired)


async def forget_answers(survey: Survey) -> int:
    """Remove answers that are remembered no longer; return how many."""
    return await survey.forget_answers(datetime.now(UTC) - timedelta(seconds=KEPT_FOR_S))


async def close_idle(records: Records, survey: Survey, idle_s: float) -> int:
    """Close the batches that have received nothing for `idle_s`; return how many."""
    now = datetime.now(UTC)
    closed = 0
    for batch in await survey.idle_batches(now - timedelta(seconds=idle_s), _AT_ONCE):
        async with records.transaction(Scope.service(batch.tenant)) as tx:
            if await tx.close_batch(batch.batch_id, now):
                await tx.audit(AuditFact(batch.tenant, SWEEPER, AuditAction.BATCH_CLOSED, now, batch.batch_id))
                closed += 1
    if closed:
        metrics.SWEPT.labels(kind=metrics.IDLE_BATCH).inc(closed)
        _log.info("idle batches closed", extra={"batches": closed})
    return closed
