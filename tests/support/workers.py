"""A service's worker in this process, and what a test asks of its broker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from radrelay_shared.events import Event
from radrelay_shared.messaging import Durable, subject_of
from radrelay_shared.process import Jobs

OpenWorker = Callable[[AsyncExitStack, asyncio.Event], Awaitable[Jobs]]


@asynccontextmanager
async def working(open_worker: OpenWorker) -> AsyncIterator[None]:
    """Run the worker's jobs until the block ends; its dependencies are ready before it begins."""
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        jobs, readiness = await open_worker(stack, stop)
        for check in readiness.values():
            await check()
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
            try:
                yield
            finally:
                stop.set()


async def until_settled(js: JetStreamContext, *durables: Durable) -> None:
    """Wait until every message that the durables are for, and that is in their streams now, is acknowledged."""
    async with asyncio.timeout(30):
        for durable in durables:
            last = await _last_sequence(js, durable)
            # Counts of pending messages trail behind what was published; the floor of acknowledgements does not lie.
            while (await js.consumer_info(durable.stream.name, durable.name)).ack_floor.stream_seq < last:
                await asyncio.sleep(0.02)


async def _last_sequence(js: JetStreamContext, durable: Durable) -> int:
    sequences = [0]
    for subject in durable.filter_subjects:
        with suppress(NotFoundError):
            sequences.append((await js.get_last_msg(durable.stream.name, subject)).seq or 0)
    return max(sequences)


async def publish_again(js: JetStreamContext, event: Event[Any]) -> None:
    """The same event as a second message: what a redelivery is once the broker's duplicate window is over."""
    await js.publish(subject_of(type(event.data), tenant=event.tenant), event.to_json())
