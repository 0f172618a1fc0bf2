"""Consuming with the delivery rules: who is asked next for how much, under one bound on what is in flight."""

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from nats.aio.msg import Msg
from nats.js import JetStreamContext

from radrelay_shared.messaging.deadletters import DeadLetters
from radrelay_shared.messaging.delivery import Handle, OnExhausted, Together
from radrelay_shared.messaging.lanes import Lane, share
from radrelay_shared.messaging.pulling import Puller
from radrelay_shared.messaging.settling import Settling, show_as_zero
from radrelay_shared.messaging.tenants import TenantWatch
from radrelay_shared.messaging.topology import Durable, LaneFamily

T = TypeVar("T")

_TOLD_AGAIN_S: Final = 1.0


class Consumer:
    """Runs `handle` for the messages of one or more durables under one bound on what is in flight.

    `sources` are lanes in strict priority: each time there is room, an earlier lane is emptied before a later one
    is asked. A durable is a lane of its own. In the lane of a family tenants take turns: those who may have something
    are asked one after the other, each for an equal share of the room; whoever is alone gets all of it.

    The bound may be passed by one message for each durable that is a lane of its own, which was asked for while the
    lane was empty; a family never passes it.

    `handle` returning acknowledges the message. `Poison` sends it to the dead letters. Anything else is tried again
    with backoff until the durable's `max_attempts`, after which `on_exhausted` is told and it becomes a dead letter
    too. Messages that `Together` handles are settled each by what became of it.
    """

    def __init__(
        self,
        js: JetStreamContext,
        sources: Durable | Sequence[Durable | LaneFamily],
        handle: Handle | Together,
        *,
        max_in_flight: int = 32,
        on_exhausted: OnExhausted | None = None,
    ) -> None:
        self._lanes: list[Lane[Puller]] = []
        self._watches: list[TenantWatch] = []
        for source in (sources,) if isinstance(sources, Durable) else sources:
            show_as_zero(source.label)
            lane = Lane[Puller]()
            self._lanes.append(lane)
            if isinstance(source, LaneFamily):
                self._watches.append(TenantWatch(js, source, partial(self._join, lane)))
            else:
                lane.join(Puller(js._nc, source))  # the context gives no way to its client
        together = handle if isinstance(handle, Together) else Together.each_alone(handle)
        self._settling = Settling(DeadLetters(js), together, on_exhausted)
        self._at_once = min(together.at_once, max_in_flight)
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._lingering: dict[Puller, asyncio.Task[list[Msg]]] = {}
        self._news = asyncio.Event()
        self._stop = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set, then finish what is in hand and return.

        Raises:
            ConsumerMissing: a durable was deleted.
            nats.js.errors.APIError: the server does not let us look for tenants or make their durables.
        """
        self._stop = stop
        for lane in self._lanes:
            for puller in lane.members:
                await puller.open()
        watching = [self._spawn(watch.run()) for watch in self._watches]
        stopped = self._spawn(stop.wait())
        try:
            while not stop.is_set():
                self._news.clear()
                if not await self._take():
                    await self._news.wait()
                for watch in watching:
                    if watch.done():
                        await watch
        finally:
            await _cancel(stopped, *watching, *self._lingering.values())
            for lane in self._lanes:
                for puller in lane.members:
                    await puller.close()
            await asyncio.gather(*self._tasks)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task whose end is worth another look at the lanes."""
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda _: self._news.set())
        return task

    def _join(self, lane: Lane[Puller], puller: Puller) -> None:
        lane.join(puller)
        self._news.set()

    async def _take(self) -> bool:
        """Start work on what can be had now; False when there was nothing, or no room for it."""
        took = False
        for puller, lingering in list(self._lingering.items()):
            # Whatever the room: a message that came is delivered and wants its heartbeat.
            if lingering.done():
                del self._lingering[puller]
                took |= self._start(puller, await lingering)
        for lane in self._lanes:
            # From the top after each success: a lane may have more than what it gave as an equal share.
            if await self._ask(lane):
                return True
        return took

    async def _ask(self, lane: Lane[Puller]) -> bool:
        took = False
        turns = lane.turns(resting=self._lingering)
        for asked, puller in enumerate(turns):
            room = self._room()
            if not room or self._stop.is_set():
                break
            messages = await puller.pull(share(room, len(turns) - asked), wait_s=None)
            if self._start(puller, messages):
                lane.served(puller)
                took = True
            else:
                self._lingering[puller] = self._spawn(puller.linger())
        return took

    def _room(self) -> int:
        """How many messages may be asked for: as many as are handled together, once, twice or more often.

        A rest would be handled apart from what comes behind it.
        """
        room = max(0, self._max_in_flight - self._in_flight)
        return room - room % self._at_once

    def _start(self, puller: Puller, messages: list[Msg]) -> bool:
        for start in range(0, len(messages), self._at_once):
            task = self._spawn(self._settle(puller.durable, messages[start : start + self._at_once]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._in_flight += len(messages)
        return bool(messages)

    async def _settle(self, durable: Durable, messages: list[Msg]) -> None:
        try:
            await self._settling.settle(durable, messages)
        finally:
            self._in_flight -= len(messages)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    """End tasks, and wait for them.

    Who goes on is told again: before Python 3.12 `asyncio.wait_for`, by which the broker's client waits, forgets a
    cancellation that comes together with the answer.
    """
    running = set(tasks)
    while running:
        for each in running:
            each.cancel()
        _, running = await asyncio.wait(running, timeout=_TOLD_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
