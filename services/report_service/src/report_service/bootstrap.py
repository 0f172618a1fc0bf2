"""The only place that wires adapters together."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from radrelay_shared.auth import TokenVerifier
from radrelay_shared.database import Database
from radrelay_shared.messaging import Consumer, broker_ready, connect, durables, ensure_topology
from radrelay_shared.objects import ObjectStore, S3ObjectStore
from radrelay_shared.process import Jobs
from report_service.adapters.postgres import PostgresReportStore
from report_service.consumer import ResultConsumer
from report_service.handlers import ReportStore
from report_service.relay import outbox_relay
from report_service.settings import ReportSettings


@dataclass(frozen=True, slots=True)
class Container:
    """What the routes work on."""

    reports: ReportStore
    objects: ObjectStore


async def open_api(settings: ReportSettings, stack: AsyncExitStack) -> dict[str, Any]:
    """Open what the HTTP application needs on `stack`, and return the state of its requests."""
    database = await stack.enter_async_context(_database(settings))
    objects = await stack.enter_async_context(S3ObjectStore(settings.objects))
    verifier = await stack.enter_async_context(TokenVerifier(settings.auth))
    return {
        "verifier": verifier,
        "readiness": {"database": database.ready, "objects": objects.ready},
        "container": Container(PostgresReportStore(database), objects),
    }


async def open_worker(settings: ReportSettings, stack: AsyncExitStack, stop: asyncio.Event) -> Jobs:
    """Open what the worker needs on `stack`, and return its jobs and readiness checks.

    Raises:
        RuntimeError: no address for the system role, which the relay works as, is set.
    """
    if settings.database.system_url is None:
        raise RuntimeError("RADRELAY_REPORT_DATABASE__SYSTEM_URL is not set")
    database = await stack.enter_async_context(_database(settings))
    system = await stack.enter_async_context(Database(settings.database.system_url, pool_size=1, max_overflow=1))
    client = await stack.enter_async_context(connect(settings.nats, name="report-worker"))
    js = client.jetstream()
    await ensure_topology(js, settings.nats.streams)
    results = ResultConsumer(PostgresReportStore(database), partial(datetime.now, UTC))
    consumer = Consumer(js, durables.REPORT_RESULTS, results.handle, max_in_flight=settings.max_in_flight)
    jobs = [consumer.run(stop), outbox_relay(system, js).run(stop)]
    return jobs, {"database": database.ready, "broker": partial(broker_ready, client)}


def _database(settings: ReportSettings) -> Database:
    chosen = settings.database
    return Database(chosen.app_url, pool_size=chosen.pool_size, max_overflow=chosen.max_overflow)
