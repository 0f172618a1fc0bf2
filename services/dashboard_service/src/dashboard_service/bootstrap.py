"""The only place that wires adapters together."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from dashboard_service.adapters.postgres import PostgresCountStore
from dashboard_service.consumer import CountingConsumer
from dashboard_service.handlers import CountStore
from dashboard_service.settings import DashboardSettings
from radrelay_shared.auth import TokenVerifier
from radrelay_shared.database import Database
from radrelay_shared.http import ReadinessCheck
from radrelay_shared.messaging import Consumer, broker_ready, connect, durables, ensure_topology
from radrelay_shared.process import Jobs


@dataclass(frozen=True, slots=True)
class Container:
    """What the routes work on."""

    counts: CountStore


async def open_api(settings: DashboardSettings, stack: AsyncExitStack) -> dict[str, Any]:
    """Open what the HTTP application needs on `stack`, and return the state of its requests."""
    database = await stack.enter_async_context(_database(settings))
    verifier = await stack.enter_async_context(TokenVerifier(settings.auth))
    return {
        "verifier": verifier,
        "readiness": {"database": database.ready},
        "container": Container(PostgresCountStore(database)),
    }


async def open_worker(settings: DashboardSettings, stack: AsyncExitStack, stop: asyncio.Event) -> Jobs:
    """Open what the worker needs on `stack`, and return its jobs and readiness checks."""
    database = await stack.enter_async_context(_database(settings))
    client = await stack.enter_async_context(connect(settings.nats, name="dashboard-worker"))
    js = client.jetstream()
    await ensure_topology(js, settings.nats.streams)
    counting = CountingConsumer(PostgresCountStore(database))
    bound = settings.max_in_flight
    reports = Consumer(js, durables.DASHBOARD_REPORTS, counting.handle_report, max_in_flight=bound)
    failures = Consumer(js, durables.DASHBOARD_FAILURES, counting.handle_failure, max_in_flight=bound)
    readiness: dict[str, ReadinessCheck] = {"database": database.ready, "broker": partial(broker_ready, client)}
    return [reports.run(stop), failures.run(stop)], readiness


def _database(settings: DashboardSettings) -> Database:
    chosen = settings.database
    return Database(chosen.app_url, pool_size=chosen.pool_size, max_overflow=chosen.max_overflow)
