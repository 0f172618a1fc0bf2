"""Hears of changes from PostgreSQL: one LISTEN connection a process, fanned out to whoever watches."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg

_RECONNECT_S: Final = 1.0
_log = logging.getLogger(__name__)


class WakeUps:
    """Wake-ups of one watcher."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Say that there was a change."""
        self._changed.set()

    async def wait(self, timeout_s: float) -> None:
        """Return after a change since the last call, or after the time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()


class ChangeListener:
    """Listens to one channel, whose payloads name what changed.

    `run` keeps the connection; without it watchers only see their own timeouts. The connection has to be a direct one:
    a pooler that hands connections out by transaction loses LISTEN.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], channel: str) -> None:
        self._connect = connect
        self._channel = channel
        self._watchers: defaultdict[str, set[WakeUps]] = defaultdict(set)

    @asynccontextmanager
    async def subscribe(self, payload: str) -> AsyncIterator[WakeUps]:
        """Wake-ups for what this payload names, while the block runs."""
        wake_ups = WakeUps()
        self._watchers[payload].add(wake_ups)
        try:
            yield wake_ups
        finally:
            self._watchers[payload].discard(wake_ups)
            if not self._watchers[payload]:
                del self._watchers[payload]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen while the block runs."""
        task = asyncio.create_task(self.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def run(self) -> None:
        """Listen until cancelled; a connection that is lost is made again."""
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.warning("listener waits", extra={"channel": self._channel, "error": type(error).__name__})
            await asyncio.sleep(_RECONNECT_S)

    async def _listen(self) -> None:
        connection = await self._connect()
        gone = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: gone.set())
            await connection.add_listener(self._channel, self._hear)
            self._wake_all()  # changes may have passed while nobody listened
            await gone.wait()
        finally:
            connection.terminate()

    def _hear(self, *heard: Any) -> None:
        """Called with connection, process id, channel and payload."""
        for wake_ups in self._watchers.get(str(heard[3]), ()):
            wake_ups.wake()

    def _wake_all(self) -> None:
        for watchers in self._watchers.values():
            for wake_ups in watchers:
                wake_ups.wake()
