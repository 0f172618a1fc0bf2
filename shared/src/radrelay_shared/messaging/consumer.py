"""Consuming with the delivery rules: ack after the work, progress while it lasts, backoff, dead letters, drain."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, Final, TypeVar

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.semconv._incubating.attributes.messaging_attributes import MESSAGING_CONSUMER_GROUP_NAME
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from radrelay_shared.events import Event, InvalidEvent, parse_event
from radrelay_shared.messaging import conventions
from radrelay_shared.messaging.attempts import Attempts
from radrelay_shared.messaging.deadletters import DeadLetters
from radrelay_shared.messaging.lanes import Lane, share
from radrelay_shared.messaging.publisher import MESSAGE_ID, PublishError
from radrelay_shared.messaging.pulling import Puller
from radrelay_shared.messaging.tenants import TenantWatch
from radrelay_shared.messaging.topology import DEAD_LETTERS, Durable, LaneFamily, tenant_in
from radrelay_shared.observability import get_tracer
from radrelay_shared.observability.metrics import CONSUMED, HANDLING_S, IN_FLIGHT

OUTCOMES: Final = ("done", "retried", "exhausted", "poison", "unsettled")
"""What may become of a delivery; the third and fourth leave a dead letter."""
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


T = TypeVar("T")
Handle = Callable[[Delivery], Awaitable[None]]
OnExhausted = Callable[[Delivery, str], Awaitable[None]]


class Consumer:
    """Runs `handle` for the messages of one or more durables under one bound on what is in flight.

    `sources` are lanes in strict priority: each time there is room, an earlier lane is emptied before a later one
    is asked. A durable is a lane of its own. In the lane of a family tenants take turns: those who may have something
    are asked one after the other, each for an equal share of the room; whoever is alone gets all of it.

    The bound may be passed by one message for each durable that is a lane of its own, which was asked for while the
    lane was empty; a family never passes it.

    `handle` returning acknowledges the message (and waits for the broker to confirm). `Poison` sends it to the dead
    letters. Anything else is tried again with backoff until the durable's `max_attempts`, after which `on_exhausted`
    is told and it becomes a dead letter too.
    """

    def __init__(
        self,
        js: JetStreamContext,
        sources: Durable | Sequence[Durable | LaneFamily],
        handle: Handle,
        *,
        max_in_flight: int = 32,
        on_exhausted: OnExhausted | None = None,
    ) -> None:
        self._lanes: list[Lane[Puller]] = []
        self._watches: list[TenantWatch] = []
        for source in (sources,) if isinstance(sources, Durable) else sources:
            _show_as_zero(source.label)
            lane = Lane[Puller]()
            self._lanes.append(lane)
            if isinstance(source, LaneFamily):
                self._watches.append(TenantWatch(js, source, partial(self._join, lane)))
            else:
                lane.join(Puller(js._nc, source))  # the context gives no way to its client
        self._dead_letters = DeadLetters(js)
        self._handle = handle
        self._max_in_flight = max_in_flight
        self._on_exhausted = on_exhausted
        self._tasks: set[asyncio.Task[None]] = set()
        self._lingering: dict[Puller, asyncio.Task[list[Msg]]] = {}
        self._news = asyncio.Event()
        self._stop = asyncio.Event()
        self._attempts = Attempts()

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
            room = self._max_in_flight - len(self._tasks)
            if room <= 0 or self._stop.is_set():
                break
            messages = await puller.pull(share(room, len(turns) - asked), wait_s=None)
            if self._start(puller, messages):
                lane.served(puller)
                took = True
            else:
                self._lingering[puller] = self._spawn(puller.linger())
        return took

    def _start(self, puller: Puller, messages: list[Msg]) -> bool:
        for message in messages:
            task = self._spawn(self._process(puller.durable, message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return bool(messages)

    async def _process(self, durable: Durable, message: Msg) -> None:
        attempt = message.metadata.num_delivered
        headers = dict(message.headers or {})
        sent = propagate.extract(headers, context=Context())
        started = perf_counter()
        with (
            IN_FLIGHT.labels(durable=durable.label).track_inprogress(),
            _tracer.start_as_current_span(
                conventions.span_name(conventions.PROCESS, message.subject),
                context=sent,
                kind=SpanKind.CONSUMER,
                attributes={
                    **conventions.attributes_of(conventions.PROCESS, message.subject, headers.get(MESSAGE_ID, "")),
                    MESSAGING_CONSUMER_GROUP_NAME: durable.label,
                    conventions.ATTEMPT: attempt,
                },
                links=self._attempts.before(message, attempt, sent),
            ) as span,
        ):
            heartbeat = asyncio.ensure_future(_heartbeat(message, durable.ack_wait_s / 3))
            try:
                outcome = await self._attempt(durable, message, attempt, headers)
            except (nats.errors.Error, PublishError) as error:
                # The broker is away: it will deliver again, and the work is safe to repeat.
                outcome = "unsettled"
                _log.warning("could not settle", extra={"durable": durable.label, "error": type(error).__name__})
            finally:
                heartbeat.cancel()
            span.set_attribute(conventions.OUTCOME, outcome)
            if outcome != "done":
                span.set_status(StatusCode.ERROR)
        self._attempts.note(message, span.get_span_context(), comes_again=outcome in {"retried", "unsettled"})
        CONSUMED.labels(durable=durable.label, outcome=outcome).inc()
        HANDLING_S.labels(durable=durable.label).observe(perf_counter() - started)

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
            _log.exception("handling failed", extra={"durable": durable.label, "attempt": attempt})
            get_current_span().record_exception(error)
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
        _log.error("dead letter", extra={"durable": durable.label, "reason": reason, "detail": detail})
        if durable.stream is not DEAD_LETTERS:  # a dead letter that cannot be read must not breed another
            await self._dead_letters.bury(durable, message, reason, detail)
        await message.term()


def _show_as_zero(durable: str) -> None:
    IN_FLIGHT.labels(durable)
    HANDLING_S.labels(durable)
    for outcome in OUTCOMES:
        CONSUMED.labels(durable, outcome)


def _read(message: Msg, attempt: int, headers: dict[str, str]) -> Delivery:
    try:
        event = parse_event(message.data)
    except InvalidEvent as error:
        raise Poison("invalid_event", str(error)) from error
    if event.tenant != tenant_in(message.subject):
        raise Poison("tenant_mismatch", "the event's tenant is not the subject's")
    return Delivery(event, message.subject, attempt, headers)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _heartbeat(message: Msg, period_s: float) -> None:
    while True:
        await asyncio.sleep(period_s)
        await message.in_progress()


def _backoff_s(attempt: int) -> float:
    """Exponential with full jitter on its upper half."""
    ceiling = min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2.0 ** (attempt - 1))
    return ceiling * (0.5 + random.random() / 2)  # noqa: S311  # jitter, not a secret
