"""The ingest worker: `python -m ingest_service.worker`. Consumers, outbox relay and sweeper in one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from ingest_service.adapters.records import PostgresRecords
from ingest_service.adapters.survey import PostgresSurvey
from ingest_service.handlers.progress import apply_dead_letter, apply_failure, apply_report, apply_start
from ingest_service.handlers.sweeping import close_idle, fail_overdue
from ingest_service.periodic import every
from ingest_service.ports import Records
from ingest_service.relay import run_relay
from ingest_service.settings import IngestSettings
from radrelay_shared.database import Database
from radrelay_shared.events import InferenceFailed, InferenceStarted
from radrelay_shared.messaging import (
    Consumer,
    Delivery,
    Publisher,
    broker_ready,
    connect,
    durables,
    ensure_topology,
)
from radrelay_shared.messaging.deadletters import DURABLE, REASON
from radrelay_shared.process import Jobs, run_worker

NAME: Final = "ingest-worker"


async def on_report(records: Records, delivery: Delivery) -> None:
    """`report.created`."""
    await apply_report(records, delivery.event, consumer=durables.INGEST_REPORTS.name)


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
        raise ValueError("RADRELAY_INGEST_DATABASE__SYSTEM_URL is not set")
    async with AsyncExitStack() as stack:
        nc = await stack.enter_async_context(connect(settings.nats, name=NAME))
        js = nc.jetstream()
        await ensure_topology(js, settings.nats.streams)
        database = await stack.enter_async_context(
            Database(urls.app_url, pool_size=urls.pool_size, max_overflow=urls.max_overflow)
        )
        system_database = await stack.enter_async_context(Database(urls.system_url, pool_size=2, max_overflow=1))
        records, survey = PostgresRecords(database), PostgresSurvey(system_database)
        consumers = [
            Consumer(js, durable, partial(handle, records), max_in_flight=urls.pool_size)
            for durable, handle in (
                (durables.INGEST_REPORTS, on_report),
                (durables.INGEST_INFERENCE, on_inference),
                (durables.INGEST_DEAD_LETTERS, on_dead_letter),
            )
        ]

        async def sweep() -> None:
            await fail_overdue(records, survey, settings.processing_deadline_s)
            await close_idle(records, survey, settings.idle_batch_s)

        jobs = [
            *(consumer.run(stop) for consumer in consumers),
            run_relay(system_database, Publisher(js), stop),
            every(settings.sweep_interval_s, sweep, stop),
        ]
        yield jobs, {"nats": partial(broker_ready, nc), "postgresql": database.ready}


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
