"""Ends what would otherwise stay unfinished for ever."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from ingest_service import metrics
from ingest_service.domain.audit import AuditAction, AuditFact
from ingest_service.domain.lifecycle import DEADLINE_EXCEEDED
from ingest_service.ports import Records, Survey
from radrelay_shared.database import Scope

SWEEPER: Final = "ingest-sweeper"
_AT_ONCE: Final = 500

_log = logging.getLogger(__name__)


async def fail_overdue(records: Records, survey: Survey, deadline_s: float) -> int:
    """Fail the images that have been queued or processing, unchanged, for `deadline_s`; return how many."""
    now = datetime.now(UTC)
    failed = 0
    for image in await survey.overdue(now - timedelta(seconds=deadline_s), _AT_ONCE):
        async with records.transaction(Scope.service(image.tenant)) as tx:
            detail = f"no result within {deadline_s:g} s"
            failed += await tx.mark_failed(image.instance_id, DEADLINE_EXCEEDED, detail, now)
    if failed:
        metrics.SWEPT.labels(kind="overdue_instance").inc(failed)
        _log.warning("images failed by their deadline", extra={"images": failed})
    return failed


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
        metrics.SWEPT.labels(kind="idle_batch").inc(closed)
        _log.info("idle batches closed", extra={"batches": closed})
    return closed
