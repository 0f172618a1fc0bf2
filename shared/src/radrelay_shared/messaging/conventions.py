"""Spans of messages, named as OpenTelemetry's semantic conventions for messaging have it.

They are in development, which is why the package says `_incubating`; it is pinned with `tracing.SCHEMA_URL`.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final
from uuid import UUID

from opentelemetry.context import Context
from opentelemetry.semconv._incubating.attributes import messaging_attributes as names
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, set_span_in_context
from opentelemetry.util.types import AttributeValue

from radrelay_shared.observability import get_tracer

SEND: Final = "send"
PROCESS: Final = "process"
"""Operations; the conventions' types are called the same."""
ATTEMPT: Final = "radrelay.delivery.attempt"
OUTCOME: Final = "radrelay.delivery.outcome"
_TENANT: Final = 2
"""Which token of a subject is the tenant."""
_tracer = get_tracer(__name__)


@lru_cache(maxsize=1024)
def destination_template(subject: str) -> str:
    """The subject with braces for the tenant, and for an image where it names one: few enough to name spans by."""
    tokens = subject.split(".")
    tokens[_TENANT] = "{tenant}"
    if _is_uuid(tokens[-1]):
        tokens[-1] = "{instance_id}"
    return ".".join(tokens)


def start_span(
    operation: str,
    subject: str,
    message_id: str,
    *,
    sent: SpanContext,
    links: Sequence[Link] = (),
    extra: Mapping[str, AttributeValue] | None = None,
) -> Span:
    """The span of sending or processing a message, below that in which it was `sent`; the caller ends it.

    In a trace that nobody records it is that span itself: another one would be seen by nobody either. Where it was not
    sent in any, sending goes on from the span of now, and processing begins a trace.
    """
    if sent.is_valid and not sent.trace_flags.sampled:
        return NonRecordingSpan(sent)
    is_sending = operation == SEND
    span = _tracer.start_span(
        f"{operation} {destination_template(subject)}",
        context=set_span_in_context(NonRecordingSpan(sent), Context()) if sent.is_valid or not is_sending else None,
        kind=SpanKind.PRODUCER if is_sending else SpanKind.CONSUMER,
        links=links,
    )
    if span.is_recording():
        span.set_attributes(
            {
                names.MESSAGING_SYSTEM: "nats",
                names.MESSAGING_OPERATION_NAME: operation,
                names.MESSAGING_OPERATION_TYPE: operation,
                names.MESSAGING_DESTINATION_NAME: subject,
                names.MESSAGING_DESTINATION_TEMPLATE: destination_template(subject),
                names.MESSAGING_MESSAGE_ID: message_id,
                **(extra or {}),
            }
        )
    return span


def _is_uuid(token: str) -> bool:
    try:
        UUID(token)
    except ValueError:
        return False
    return True
