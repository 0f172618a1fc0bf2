"""Hears of changed batches from PostgreSQL: one LISTEN connection a process, fanned out to whoever watches."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import asyncpg

from ingest_service.adapters.statements import BATCH_CHANNEL

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


class BatchListener:
    """The port for changes of batches. `run` keeps the connection; without it watchers only see their own timeouts."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._watchers: defaultdict[UUID, set[WakeUps]] = defaultdict(set)

    @asynccontextmanager
    async def subscribe(self, batch_id: UUID) -> AsyncIterator[WakeUps]:
        """Wake-ups for one batch while the block runs."""
        wake_ups = WakeUps()
        self._watchers[batch_id].add(wake_ups)
        try:
            yield wake_ups
        finally:
            self._watchers[batch_id].discard(wake_ups)
            if not self._watchers[batch_id]:
                del self._watchers[batch_id]

    async def run(self) -> None:
        """Listen until cancelled; a connection that is lost is made again."""
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.warning("batch listener waits", extra={"error": type(error).__name__})
            await asyncio.sleep(_RECONNECT_S)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(self._dsn)
        gone = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: gone.set())
            await connection.add_listener(BATCH_CHANNEL, self._hear)
            self._wake_all()  # changes may have passed while nobody listened
            await gone.wait()
        finally:
            connection.terminate()

    def _hear(self, *heard: Any) -> None:
        """Called with connection, process id, channel and payload."""
        for wake_ups in self._watchers.get(UUID(str(heard[3])), ()):
            wake_ups.wake()

    def _wake_all(self) -> None:
        for watchers in self._watchers.values():
            for wake_ups in watchers:
                wake_ups.wake()
