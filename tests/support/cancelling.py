"""Work that is cancelled over and over, and what it must not leave in the database."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import asyncpg


async def cancel_many(work: Callable[[], Awaitable[object]], count: int, *, seed: int) -> None:
    """Start `work` over and over, eight at a time, and cancel each a moment later, until `count` were caught at it.

    The moment adapts until some are caught early, some late and some finish.
    """
    chance = random.Random(seed)
    within_s, caught, finished = 0.01, 0, 0

    async def start_and_cancel() -> bool:
        task = asyncio.ensure_future(work())
        await asyncio.sleep(chance.uniform(0, within_s))
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
            raise outcome
        return isinstance(outcome, asyncio.CancelledError)

    while caught < count or not finished:
        outcomes = await asyncio.gather(*(start_and_cancel() for _ in range(8)))
        caught += sum(outcomes)
        finished += len(outcomes) - sum(outcomes)
        within_s *= 1.1 if all(outcomes) else 0.9


async def wait_until_nothing_is_held(observer: asyncpg.Connection) -> None:
    """No other backend of the runtime role is in a transaction, so none holds a lock either."""
    async with asyncio.timeout(10):
        while await observer.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE usename = current_user AND pid <> pg_backend_pid() AND state <> 'idle'"
        ):
            await asyncio.sleep(0.01)
