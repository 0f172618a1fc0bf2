"""A consumer that runs inside a block, and waiting for what it does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from radrelay_shared.messaging import Consumer


@asynccontextmanager
async def consuming(consumer: Consumer) -> AsyncIterator[asyncio.Event]:
    """Run the consumer until the block ends."""
    stop = asyncio.Event()
    task = asyncio.create_task(consumer.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        await task


async def eventually(condition: Callable[[], bool], *, enough_s: float = 20.0) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(enough_s):
        while not condition():
            await asyncio.sleep(0.01)
