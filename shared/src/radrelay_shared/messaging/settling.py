"""Handling what was pulled, and settling each message of it: acknowledged, tried again, or a dead letter."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from opentelemetry.semconv._incubating.attributes.messaging_attributes import MESSAGING_CONSUMER_GROUP_NAME
from opentelemetry.trace import Span, StatusCode, use_span

from radrelay_shared.events import InvalidEvent, parse_event
from radrelay_shared.messaging import conventions
from radrelay_shared.messaging.attempts import Attempts
from radrelay_shared.messaging.deadletters import DeadLetters
from radrelay_shared.messaging.delivery import Delivery, OnExhausted, Poison, Together
from radrelay_shared.messaging.publisher import MESSAGE_ID, PublishError
from radrelay_shared.messaging.topology import DEAD_LETTERS, Durable, tenant_in
from radrelay_shared.observability import TRACEPARENT, span_context_of
from radrelay_shared.observability.metrics import CONSUMED, HANDLING_S, IN_FLIGHT

OUTCOMES: Final = ("done", "retried", "exhausted", "poison", "unsettled")
"""What may become of a delivery; the third and fourth leave a dead letter."""
_BACKOFF_FIRST_S: Final = 0.5
_BACKOFF_MAX_S: Final = 30.0
_SETTLED_WITHIN_S: Final = 5

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Case:
    """One message on its way."""

    message: Msg
    attempt: int
    headers: dict[str, str]
    span: Span
    outcome: str = "unsettled"

    def read(self) -> Delivery:
        """The delivery that the message is.

        Raises:
            Poison: it is none that anybody could handle.
        """
        try:
            event = parse_event(self.message.data)
        except InvalidEvent as error:
            raise Poison("invalid_event", str(error)) from error
        if event.tenant != tenant_in(self.message.subject):
            raise Poison("tenant_mismatch", "the event's tenant is not the subject's")
        return Delivery(event, self.message.subject, self.attempt, self.headers, self.span.get_span_context())


class Settling:
    """Handles messages of any durable, and settles them."""

    def __init__(self, dead_letters: DeadLetters, together: Together, on_exhausted: OnExhausted | None) -> None:
        self._dead_letters = dead_letters
        self._handle = together.handle
        self._on_exhausted = on_exhausted
        self._attempts = Attempts()

    async def settle(self, durable: Durable, messages: Sequence[Msg]) -> None:
        """Handle the messages together; each is settled by itself, and one that cannot be comes again."""
        started = perf_counter()
        cases = [self._begin(durable, message) for message in messages]
        heartbeat = asyncio.ensure_future(_heartbeat(messages, durable.ack_wait_s / 3))
        in_flight = IN_FLIGHT.labels(durable=durable.label)
        in_flight.inc(len(cases))
        try:
            await self._settle(durable, cases)
        finally:
            heartbeat.cancel()
            in_flight.dec(len(cases))
            for case in cases:
                self._end(case)
            _count(durable, cases, perf_counter() - started)

    def _begin(self, durable: Durable, message: Msg) -> _Case:
        attempt = message.metadata.num_delivered
        headers = dict(message.headers or {})
        sent = span_context_of(headers.get(TRACEPARENT))
        span = conventions.start_span(
            conventions.PROCESS,
            message.subject,
            headers.get(MESSAGE_ID, ""),
            sent=sent,
            links=self._attempts.before(message, attempt, sent),
            extra={MESSAGING_CONSUMER_GROUP_NAME: durable.label, conventions.ATTEMPT: attempt},
        )
        return _Case(message, attempt, headers, span)

    def _end(self, case: _Case) -> None:
        case.span.set_attribute(conventions.OUTCOME, case.outcome)
        if case.outcome != "done":
            case.span.set_status(StatusCode.ERROR)
        case.span.end()
        comes_again = case.outcome in {"retried", "unsettled"}
        self._attempts.note(case.message, case.span.get_span_context(), comes_again=comes_again)

    async def _settle(self, durable: Durable, cases: Sequence[_Case]) -> None:
        failed: list[tuple[_Case, Delivery | None, Exception]] = []
        readable: list[tuple[_Case, Delivery]] = []
        for case in cases:
            try:
                readable.append((case, case.read()))
            except Poison as poison:
                failed.append((case, None, poison))
        outcomes = await self._outcomes(readable)
        failed += [(*each, error) for each, error in zip(readable, outcomes, strict=True) if error is not None]
        done = [case for (case, _), error in zip(readable, outcomes, strict=True) if error is None]
        await asyncio.gather(self._acknowledge(durable, done), *(self._fail(durable, *each) for each in failed))

    async def _outcomes(self, readable: Sequence[tuple[_Case, Delivery]]) -> Sequence[Exception | None]:
        """What was wrong with each."""
        if not readable:
            return []
        try:
            if len(readable) > 1:
                return await self._handle([delivery for _, delivery in readable])
            ((case, delivery),) = readable
            with use_span(case.span, record_exception=False, set_status_on_exception=False):
                return await self._handle([delivery])
        except Exception as error:  # noqa: BLE001  # whatever a handler raises, the message is tried again or becomes a dead letter
            return [error] * len(readable)

    async def _acknowledge(self, durable: Durable, done: Sequence[_Case]) -> None:
        if not done:
            return
        try:
            *others, last = done
            for case in others:
                await case.message.ack()
            # The broker takes them one after the other: what confirms the last one confirms them all.
            await last.message.ack_sync(timeout=_SETTLED_WITHIN_S)
        except nats.errors.Error as error:
            _could_not_settle(durable, error)
            return
        for case in done:
            case.outcome = "done"

    async def _fail(self, durable: Durable, case: _Case, delivery: Delivery | None, error: Exception) -> None:
        with use_span(case.span, record_exception=False, set_status_on_exception=False):
            try:
                case.outcome = await self._after_failure(durable, case, delivery, error)
            except (nats.errors.Error, PublishError) as away:
                _could_not_settle(durable, away)

    async def _after_failure(self, durable: Durable, case: _Case, delivery: Delivery | None, error: Exception) -> str:
        if isinstance(error, Poison):
            await self._bury(durable, case.message, error.reason, error.detail)
            return "poison"
        reason = type(error).__name__
        _log.error("handling failed", exc_info=error, extra={"durable": durable.label, "attempt": case.attempt})
        case.span.record_exception(error)
        if case.attempt < durable.max_attempts:
            await case.message.nak(delay=_backoff_s(case.attempt))
            return "retried"
        if self._on_exhausted is not None and delivery is not None:
            await self._on_exhausted(delivery, reason)
        await self._bury(durable, case.message, "retries_exhausted", reason)
        return "exhausted"

    async def _bury(self, durable: Durable, message: Msg, reason: str, detail: str) -> None:
        _log.error("dead letter", extra={"durable": durable.label, "reason": reason, "detail": detail})
        if durable.stream is not DEAD_LETTERS:  # a dead letter that cannot be read must not breed another
            await self._dead_letters.bury(durable, message, reason, detail)
        await message.term()


def show_as_zero(durable: str) -> None:
    """Let a durable's metrics be there before anything happens to it."""
    IN_FLIGHT.labels(durable)
    HANDLING_S.labels(durable)
    for outcome in OUTCOMES:
        CONSUMED.labels(durable, outcome)


def _count(durable: Durable, cases: Sequence[_Case], took_s: float) -> None:
    for outcome, count in Counter(case.outcome for case in cases).items():
        CONSUMED.labels(durable.label, outcome).inc(count)
    handling = HANDLING_S.labels(durable.label)
    for _ in cases:
        handling.observe(took_s)


def _could_not_settle(durable: Durable, error: Exception) -> None:
    """The broker is away: it will deliver again, and the work is safe to repeat."""
    _log.warning("could not settle", extra={"durable": durable.label, "error": type(error).__name__})


async def _heartbeat(messages: Sequence[Msg], period_s: float) -> None:
    while True:
        await asyncio.sleep(period_s)
        for message in messages:
            if not message.is_acked:
                await message.in_progress()


def _backoff_s(attempt: int) -> float:
    """Exponential with full jitter on its upper half."""
    ceiling = min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2.0 ** (attempt - 1))
    return ceiling * (0.5 + random.random() / 2)  # noqa: S311  # jitter, not a secret
