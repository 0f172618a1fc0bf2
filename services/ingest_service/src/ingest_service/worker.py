"""The ingest worker: `python -m ingest_service.worker`.

Consumers, outbox relay, sweeper, eraser, and the end of resumable uploads, in one process.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from ingest_service.adapters.erasures import PostgresLeftovers
from ingest_service.adapters.outages import is_outage
from ingest_service.adapters.records import CHAIN
from ingest_service.adapters.resumable import PostgresUploadQueue
from ingest_service.adapters.survey import PostgresSurvey
from ingest_service.bootstrap import open_intake
from ingest_service.handlers.erasing import apply_erasure_request, apply_report_erased, remove_leftovers
from ingest_service.handlers.observing import observe_unfinished
from ingest_service.handlers.progress import apply_dead_letter, apply_failure, apply_report, apply_start
from ingest_service.handlers.sweeping import (
    close_idle,
    fail_overdue,
    forget_answers,
    remove_expired_uploads,
    remove_rejected,
)
from ingest_service.handlers.taking_in import TakingIn
from ingest_service.ports import Records
from ingest_service.relay import run_relay
from ingest_service.settings import IngestSettings
from ingest_service.upload_taker import UploadTaker
from radrelay_shared.audit.heads import HeadPublisher
from radrelay_shared.errors import ConfigurationError
from radrelay_shared.events import ErasureRequested, InferenceFailed, InferenceStarted, ReportErased
from radrelay_shared.messaging import (
    Consumer,
    Delivery,
    Publisher,
    broker_ready,
    connect,
    durables,
    ensure_topology,
)
from radrelay_shared.messaging.connection import is_broker_outage
from radrelay_shared.messaging.deadletters import DURABLE, REASON, count_dead_letters
from radrelay_shared.objects import S3ObjectStore
from radrelay_shared.periodic import every
from radrelay_shared.process import Jobs, run_worker

NAME: Final = "ingest-worker"
_TAKEN_IN_AT_ONCE: Final = 2
"""Resumable uploads: each may be an archive that is whole on the disk."""


async def on_report(records: Records, delivery: Delivery) -> None:
    """`report.created`."""
    await apply_report(records, delivery.event, consumer=durables.INGEST_REPORTS.name)


async def on_erasure(records: Records, delivery: Delivery) -> None:
    """`report.erasure_requested` and `report.erased`."""
    match delivery.event.data:
        case ErasureRequested():
            await apply_erasure_request(records, delivery.event)
        case ReportErased():
            await apply_report_erased(records, delivery.event)


async def on_inference(records: Records, delivery: Delivery) -> None:
    """`inference.started` and `inference.failed`."""
    consumer = durables.INGEST_INFERENCE.name
    match delivery.event.data:
        case InferenceStarted():
            await apply_start(records, delivery.event, consumer=consumer)
        case InferenceFailed():
            await apply_failure(records, delivery.event, consumer=consumer)


async def on_dead_letter(records: Records, delivery: Delivery) -> None:
    """Whatever some consumer gave up on."""
    await apply_dead_letter(
        records,
        delivery.event,
        consumer=durables.INGEST_DEAD_LETTERS.name,
        buried_by=delivery.headers.get(DURABLE, "a consumer"),
        reason=delivery.headers.get(REASON, "dead_letter"),
    )


@asynccontextmanager
async def start(settings: IngestSettings, stop: asyncio.Event) -> AsyncIterator[Jobs]:
    """Open what the worker needs, and yield its jobs and readiness checks."""
    urls = settings.database
    if urls.system_url is None:
        raise ConfigurationError("RADRELAY_INGEST_DATABASE__SYSTEM_URL is not set")
    async with AsyncExitStack() as stack:
        nc = await stack.enter_async_context(connect(settings.nats, name=NAME))
        js = nc.jetstream()
        await ensure_topology(js, settings.nats.streams)
        opened = await stack.enter_async_context(open_intake(settings))
        system_database = await stack.enter_async_context(urls.system(pool_size=2, max_overflow=2))
        records, survey, queue = (
            opened.intake.records,
            PostgresSurvey(system_database),
            PostgresUploadQueue(system_database),
        )
        leftovers = PostgresLeftovers(system_database)
        eraser = await stack.enter_async_context(S3ObjectStore(settings.objects))
        means = TakingIn(opened.intake, opened.slots, pending=settings.upload.files_in_flight)
        taker = UploadTaker(means, queue, settings.taking_in_lease_s)
        consumers = [
            Consumer(js, durable, partial(handle, records), max_in_flight=urls.pool_size)
            for durable, handle in (
                (durables.INGEST_REPORTS, on_report),
                (durables.INGEST_ERASURES, on_erasure),
                (durables.INGEST_INFERENCE, on_inference),
                (durables.INGEST_DEAD_LETTERS, on_dead_letter),
            )
        ]

        async def sweep() -> None:
            await fail_overdue(records, survey, settings.processing_deadline_s)
            await close_idle(records, survey, settings.idle_batch_s)
            await forget_answers(survey)
            await remove_leftovers(records, leftovers, eraser)
            await remove_rejected(survey, opened.intake.objects)
            await remove_expired_uploads(queue, opened.intake.objects)

        heads = HeadPublisher("ingest", records, system_database, CHAIN)
        pace_s = settings.audit_head_interval_s
        jobs = [
            *(consumer.run(stop) for consumer in consumers),
            run_relay(system_database, Publisher(js), stop),
            every(settings.sweep_interval_s, sweep, stop, is_outage=is_outage),
            every(settings.observe_interval_s, partial(observe_unfinished, survey), stop, is_outage=is_outage),
            every(settings.observe_interval_s, partial(count_dead_letters, js), stop, is_outage=is_broker_outage),
            every(pace_s, partial(heads.publish, pace_s), stop, is_outage=is_outage),
            *(
                every(settings.taking_in_interval_s, partial(taker.take_all, stop), stop, is_outage=is_outage)
                for _ in range(_TAKEN_IN_AT_ONCE)
            ),
        ]
        yield jobs, {"nats": partial(broker_ready, nc), **opened.readiness}


def main() -> None:
    """Run until told to stop."""
    settings = IngestSettings()
    run_worker(
        NAME,
        settings.observability,
        settings.health_port,
        partial(start, settings),
        health_host=settings.health_host,
    )


if __name__ == "__main__":
    main()
