"""Publishing with a receipt: the call returns only when JetStream has the event."""

from collections.abc import Mapping
from typing import Any

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from opentelemetry import propagate
from opentelemetry.trace import SpanKind

from radrelay_shared.events import CONTENT_TYPE, Event
from radrelay_shared.messaging import conventions
from radrelay_shared.messaging.topology import subject_for
from radrelay_shared.observability import get_tracer
from radrelay_shared.observability.metrics import PUBLISHED

MESSAGE_ID = "Nats-Msg-Id"
_tracer = get_tracer(__name__)


class PublishError(RuntimeError):
    """JetStream did not confirm the event; it may or may not be stored, so publish it again with the same id."""


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
        """Publish bytes that already are an event: what the outbox and the dead letters hold.

        Raises:
            PublishError: no receipt.
        """
        with _tracer.start_as_current_span(
            conventions.span_name(conventions.SEND, subject),
            context=propagate.extract(dict(headers)),
            kind=SpanKind.PRODUCER,
            attributes=conventions.attributes_of(conventions.SEND, subject, message_id),
        ):
            sent = {**headers, MESSAGE_ID: message_id, "Content-Type": CONTENT_TYPE}
            propagate.inject(sent)
            try:
                await self._js.publish(subject, payload, timeout=self._timeout_s, headers=sent)
            except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
                PUBLISHED.labels(outcome="failed").inc()
                raise PublishError(f"{subject}: {type(error).__name__}") from error
        PUBLISHED.labels(outcome="confirmed").inc()
