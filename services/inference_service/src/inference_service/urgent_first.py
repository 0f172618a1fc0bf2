"""Who goes next, where not all can go at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from itertools import count
from typing import Final

from radrelay_shared.events import Urgency

_RANKS: Final = {urgency: rank for rank, urgency in enumerate(Urgency)}


class UrgentFirst:
    """A number of places; of those who wait for one, the most urgent gets it, and among equals who came first.

    A semaphore whose queue is ordered by urgency. A stat image passes the routine ones that wait, not those at work.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = count()

    @asynccontextmanager
    async def place(self, urgency: Urgency) -> AsyncIterator[None]:
        """Wait for a place and hold it until the block ends."""
        await self._take(urgency)
        try:
            yield
        finally:
            self._give()

    async def _take(self, urgency: Urgency) -> None:
        if self._free:
            # A place is free only while nobody waits: it is handed over, not put back.
            self._free -= 1
            return
        called = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (_RANKS[urgency], next(self._arrivals), called))
        try:
            await called
        except asyncio.CancelledError:
            if not called.cancelled():
                self._give()  # called and cancelled in the same moment: the place goes to the next
            raise

    def _give(self) -> None:
        while self._waiting:
            _, _, called = heappop(self._waiting)
            if not called.done():
                called.set_result(None)
                return
        self._free += 1
