"""The only place that wires adapters together."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from dashboard_service.adapters.counting import CHANNEL, PostgresCountStore
from dashboard_service.adapters.figures import PostgresFigureStore
from dashboard_service.consumer import COUNTED_FROM, handler_of
from dashboard_service.handlers.questions import FigureStore
from dashboard_service.handlers.watching import FigureChanges
from dashboard_service.settings import DashboardSettings
from radrelay_shared.auth import TokenVerifier
from radrelay_shared.database import ChangeListener
from radrelay_shared.http import RateLimiter, ReadinessCheck
from radrelay_shared.messaging import Consumer, broker_ready, connect, ensure_topology
from radrelay_shared.process import Jobs


@dataclass(frozen=True, slots=True)
class Container:
    """What the routes work on."""

    figures: FigureStore
    changes: FigureChanges
    smallest_group: int
    stream_s: float


async def open_api(settings: DashboardSettings, stack: AsyncExitStack) -> dict[str, Any]:
    """Open what the HTTP application needs on `stack`, and return the state of its requests."""
    database = await stack.enter_async_context(settings.database.app())
    verifier = await stack.enter_async_context(TokenVerifier(settings.auth))
    rate_limiter = await stack.enter_async_context(RateLimiter(settings.rate_limits, "dashboard"))
    listener = ChangeListener(database.connect_to_listen, CHANNEL)
    await stack.enter_async_context(listener.running())
    figures = PostgresFigureStore(database, settings.time_zones)
    return {
        "verifier": verifier,
        "rate_limiter": rate_limiter,
        "readiness": {"database": database.ready},
        "container": Container(figures, listener, settings.smallest_group, settings.stream_s),
    }


async def open_worker(settings: DashboardSettings, stack: AsyncExitStack, stop: asyncio.Event) -> Jobs:
    """Open what the worker needs on `stack`, and return its jobs and readiness checks."""
    database = await stack.enter_async_context(settings.database.app())
    client = await stack.enter_async_context(connect(settings.nats, name="dashboard-worker"))
    js = client.jetstream()
    await ensure_topology(js, settings.nats.streams)
    counts = PostgresCountStore(database, settings.time_zones)
    consumers = [
        Consumer(js, durable, handler_of(durable, counts), max_in_flight=settings.max_in_flight)
        for durable in COUNTED_FROM
    ]
    readiness: dict[str, ReadinessCheck] = {"database": database.ready, "broker": partial(broker_ready, client)}
    return [consumer.run(stop) for consumer in consumers], readiness
