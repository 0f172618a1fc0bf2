"""Consuming with the delivery rules: ack after the work, progress while it lasts, backoff, dead letters, drain."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from opentelemetry import propagate
from opentelemetry.trace import SpanKind

from radrelay_shared.events import Event, InvalidEvent, parse_event
from radrelay_shared.messaging.deadletters import DeadLetters
from radrelay_shared.messaging.publisher import PublishError
from radrelay_shared.messaging.pulling import Puller
from radrelay_shared.messaging.topology import DEAD_LETTERS, Durable, tenant_in
from radrelay_shared.observability import get_tracer
from radrelay_shared.observability.metrics import CONSUMED, HANDLING_S, IN_FLIGHT

_LINGER_S: Final = 5.0
_BACKOFF_FIRST_S: Final = 0.5
_BACKOFF_MAX_S: Final = 30.0

_log = logging.getLogger(__name__)
_tracer = get_tracer(__name__)


class Poison(Exception):
    """The message will never succeed: it goes to the dead letters with this reason, and its neighbours go on."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of one event."""

    event: Event[Any]
    subject: str
    attempt: int
    """1 for the first delivery."""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def tenant(self) -> str:
        """The tenant of the event; equal to the subject's, which is checked."""
        return self.event.tenant


Handle = Callable[[Delivery], Awaitable[None]]
OnExhausted = Callable[[Delivery, str], Awaitable[None]]


class Consumer:
    """Runs `handle` for the messages of one or more durables under one bound on what is in flight.

    `durables` are lanes in strict priority: each time there is room, an earlier lane is emptied before a later one
    is asked. The bound may be passed by one message a lane, which was asked for while the lane was empty.

    `handle` returning acknowledges the message (and waits for the broker to confirm). `Poison` sends it to the dead
    letters. Anything else is tried again with backoff until the durable's `max_attempts`, after which `on_exhausted`
    is told and it becomes a dead letter too.
    """

    def __init__(
        self,
        js: JetStreamContext,
        durables: Durable | Sequence[Durable],
        handle: Handle,
        *,
        max_in_flight: int = 32,
        on_exhausted: OnExhausted | None = None,
    ) -> None:
        lanes = (durables,) if isinstance(durables, Durable) else tuple(durables)
        self._pullers = [Puller(js._nc, lane) for lane in lanes]  # the context gives no way to its client
        self._dead_letters = DeadLetters(js)
        self._handle = handle
        self._max_in_flight = max_in_flight
        self._on_exhausted = on_exhausted
        self._tasks: set[asyncio.Task[None]] = set()
        self._lingering: dict[Puller, asyncio.Task[list[Msg]]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set, then finish what is in hand and return.

        Raises:
            ConsumerMissing: a durable was deleted.
        """
        stopped = asyncio.ensure_future(stop.wait())
        for puller in self._pullers:
            await puller.open()
        try:
            while not stop.is_set():
                if not await self._take():
                    waiting = [stopped, *self._lingering.values()]
                    if len(self._tasks) >= self._max_in_flight:
                        waiting += self._tasks
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            await self._finish()

    async def _take(self) -> bool:
        """Start work on what can be had now; False when there was nothing, and lingering requests wait for more."""
        took = False
        for puller, lingering in list(self._lingering.items()):
            # Whatever the room: a message that came is delivered and wants its heartbeat.
            if lingering.done():
                del self._lingering[puller]
                took |= self._start(puller, await lingering)
        for puller in self._pullers:
            if puller in self._lingering:
                continue
            room = self._max_in_flight - len(self._tasks)
            if room <= 0:
                return took
            messages = await puller.pull(room, wait_s=None)
            took |= self._start(puller, messages)
            if not messages:
                self._lingering[puller] = asyncio.ensure_future(puller.pull(1, wait_s=_LINGER_S))
        return took

    def _start(self, puller: Puller, messages: list[Msg]) -> bool:
        for message in messages:
            task = asyncio.ensure_future(self._process(puller.durable, message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return bool(messages)

    async def _finish(self) -> None:
        for lingering in self._lingering.values():
            lingering.cancel()
        await asyncio.gather(*self._lingering.values(), return_exceptions=True)
        for puller in self._pullers:
            await puller.close()
        await asyncio.gather(*self._tasks)

    async def _process(self, durable: Durable, message: Msg) -> None:
        attempt = message.metadata.num_delivered
        headers = dict(message.headers or {})
        attributes = {
            "messaging.system": "nats",
            "messaging.operation.type": "process",
            "messaging.destination.name": message.subject,
            "messaging.consumer.group.name": durable.name,
        }
        started = perf_counter()
        with (
            IN_FLIGHT.labels(durable=durable.name).track_inprogress(),
            _tracer.start_as_current_span(
                f"process {durable.name}",
                context=propagate.extract(headers),
                kind=SpanKind.CONSUMER,
                attributes=attributes,
            ),
        ):
            heartbeat = asyncio.ensure_future(_heartbeat(message, durable.ack_wait_s / 3))
            try:
                outcome = await self._attempt(durable, message, attempt, headers)
            except (nats.errors.Error, PublishError) as error:
                # The broker is away: it will deliver again, and the work is safe to repeat.
                outcome = "unsettled"
                _log.warning("could not settle", extra={"durable": durable.name, "error": type(error).__name__})
            finally:
                heartbeat.cancel()
        CONSUMED.labels(durable=durable.name, outcome=outcome).inc()
        HANDLING_S.labels(durable=durable.name).observe(perf_counter() - started)

    async def _attempt(self, durable: Durable, message: Msg, attempt: int, headers: dict[str, str]) -> str:
        try:
            delivery = _read(message, attempt, headers)
        except Poison as poison:
            await self._bury(durable, message, poison.reason, poison.detail)
            return "poison"
        try:
            await self._handle(delivery)
        except Poison as poison:
            await self._bury(durable, message, poison.reason, poison.detail)
            return "poison"
        except Exception as error:  # noqa: BLE001  # whatever a handler raises, the message is tried again or becomes a dead letter
            reason = type(error).__name__
            _log.exception("handling failed", extra={"durable": durable.name, "attempt": attempt})
            if attempt < durable.max_attempts:
                await message.nak(delay=_backoff_s(attempt))
                return "retried"
            if self._on_exhausted is not None:
                await self._on_exhausted(delivery, reason)
            await self._bury(durable, message, "retries_exhausted", reason)
            return "exhausted"
        await message.ack_sync(timeout=5)
        return "done"

    async def _bury(self, durable: Durable, message: Msg, reason: str, detail: str) -> None:
        _log.error("dead letter", extra={"durable": durable.name, "reason": reason, "detail": detail})
        if durable.stream is not DEAD_LETTERS:  # a dead letter that cannot be read must not breed another
            await self._dead_letters.bury(durable, message, reason, detail)
        await message.term()


def _read(message: Msg, attempt: int, headers: dict[str, str]) -> Delivery:
    try:
        event = parse_event(message.data)
    except InvalidEvent as error:
        raise Poison("invalid_event", str(error)) from error
    if event.tenant != tenant_in(message.subject):
        raise Poison("tenant_mismatch", "the event's tenant is not the subject's")
    return Delivery(event, message.subject, attempt, headers)


async def _heartbeat(message: Msg, period_s: float) -> None:
    while True:
        await asyncio.sleep(period_s)
        await message.in_progress()


def _backoff_s(attempt: int) -> float:
    """Exponential with full jitter on its upper half."""
    ceiling = min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2.0 ** (attempt - 1))
    return ceiling * (0.5 + random.random() / 2)  # noqa: S311  # jitter, not a secret
