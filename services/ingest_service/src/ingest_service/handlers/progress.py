"""What the rest of the product says of our images: started, failed, reported, given up."""

import logging
from datetime import UTC, datetime
from typing import Any

from ingest_service.ports import Records
from radrelay_shared.database import Scope
from radrelay_shared.events import (
    Event,
    InferenceCompleted,
    InferenceFailed,
    InferenceStarted,
    InstanceStored,
    ReportCreated,
)

_log = logging.getLogger(__name__)


async def apply_report(records: Records, event: Event[ReportCreated], *, consumer: str) -> None:
    """The image has its report."""
    async with records.transaction(Scope.service(event.tenant)) as tx:
        if await tx.first_time(consumer, event):
            await tx.mark_reported(event.data.instance_id, event.data.report_id, _now())


async def apply_start(records: Records, event: Event[InferenceStarted], *, consumer: str) -> None:
    """A worker has the image in hand."""
    async with records.transaction(Scope.service(event.tenant)) as tx:
        if await tx.first_time(consumer, event):
            await tx.mark_processing(event.data.instance_id, event.data.submission, _now())


async def apply_failure(records: Records, event: Event[InferenceFailed], *, consumer: str) -> None:
    """The image will get no result."""
    async with records.transaction(Scope.service(event.tenant)) as tx:
        if await tx.first_time(consumer, event):
            data = event.data
            await tx.mark_failed(data.instance_id, data.submission, data.reason, data.detail, _now())


async def apply_dead_letter(records: Records, event: Event[Any], *, consumer: str, buried_by: str, reason: str) -> None:
    """Some consumer (`buried_by`) gave up on an event about an image.

    A dead report or failure still says how the image ended; any other means that it ended here.
    """
    match event.data:
        case ReportCreated():
            await apply_report(records, event, consumer=consumer)
        case InferenceFailed():
            await apply_failure(records, event, consumer=consumer)
        case InferenceStarted():
            _log.info("a dead start changes nothing", extra={"durable": buried_by})
        case InstanceStored() | InferenceCompleted():
            async with records.transaction(Scope.service(event.tenant)) as tx:
                if await tx.first_time(consumer, event):
                    detail = f"{buried_by} gave up on it"
                    await tx.mark_failed(event.data.instance_id, event.data.submission, reason, detail, _now())


def _now() -> datetime:
    return datetime.now(UTC)
