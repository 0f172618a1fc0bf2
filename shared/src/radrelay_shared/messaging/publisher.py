"""Publishing with a receipt: the call returns only when JetStream has the event."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import PubAck
from opentelemetry import propagate
from opentelemetry.trace import Span, StatusCode

from radrelay_shared.events import CONTENT_TYPE, Event
from radrelay_shared.messaging import conventions
from radrelay_shared.messaging.topology import subject_for
from radrelay_shared.observability import TRACEPARENT, span_context_of, traceparent_of
from radrelay_shared.observability.metrics import PUBLISHED

MESSAGE_ID = "Nats-Msg-Id"


class PublishError(RuntimeError):
    """JetStream did not confirm the event; it may or may not be stored, so publish it again with the same id."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Bytes that already are an event: what the outbox and the dead letters hold."""

    subject: str
    payload: bytes
    message_id: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside those of every event; `traceparent` is the span that it goes on from."""


class Publisher:
    """Publishes events with `Nats-Msg-Id` = event id, so that a repeat within the duplicate window is dropped."""

    def __init__(self, js: JetStreamContext, *, timeout_s: float = 5.0) -> None:
        self._js = js
        self._timeout_s = timeout_s

    async def publish(self, event: Event[Any]) -> None:
        """Publish one event under the caller's trace context.

        Raises:
            PublishError: no receipt.
        """
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        await self.publish_raw(subject_for(event), event.to_json(), message_id=event.id, headers=carrier)

    async def publish_raw(self, subject: str, payload: bytes, *, message_id: str, headers: Mapping[str, str]) -> None:
        """Publish bytes that already are an event.

        Raises:
            PublishError: no receipt.
        """
        (failure,) = await self.publish_together([Outgoing(subject, payload, message_id, headers)])
        if failure is not None:
            raise failure

    async def publish_together(self, messages: Sequence[Outgoing]) -> list[PublishError | None]:
        """Publish all, then wait for their receipts; for each message, in their order, None or what went wrong."""
        spans = [
            conventions.start_span(
                conventions.SEND, each.subject, each.message_id, sent=span_context_of(each.headers.get(TRACEPARENT))
            )
            for each in messages
        ]
        receipts = [await self._send(*each) for each in zip(messages, spans, strict=True)]
        pending = [each for each in receipts if isinstance(each, asyncio.Future)]
        try:
            if pending:
                await asyncio.wait(pending, timeout=self._timeout_s)
        finally:
            for each in pending:
                each.cancel()  # those that did not come
        return [_outcome(*each) for each in zip(messages, spans, receipts, strict=True)]

    async def _send(self, message: Outgoing, span: Span) -> asyncio.Future[PubAck] | Exception:
        """The receipt to come, or why there will be none."""
        headers = {**message.headers, MESSAGE_ID: message.message_id, "Content-Type": CONTENT_TYPE}
        if traceparent := traceparent_of(span.get_span_context()):
            headers[TRACEPARENT] = traceparent
        try:
            # Waits while thousands of receipts are out, all of which end in time; a bound here costs a task for each.
            return await self._js.publish_async(message.subject, message.payload, headers=headers)
        except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
            return error


def _outcome(message: Outgoing, span: Span, receipt: asyncio.Future[PubAck] | Exception) -> PublishError | None:
    error = receipt if isinstance(receipt, Exception) else _error_of(receipt)
    PUBLISHED.labels(outcome="failed" if error else "confirmed").inc()
    failure = None
    if error is not None:
        failure = PublishError(f"{message.subject}: {type(error).__name__}")
        failure.__cause__ = error
        span.record_exception(failure)
        span.set_status(StatusCode.ERROR)
    span.end()
    return failure


def _error_of(receipt: asyncio.Future[PubAck]) -> BaseException | None:
    return TimeoutError() if receipt.cancelled() else receipt.exception()
