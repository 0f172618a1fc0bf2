"""What may leave the process of a span and of an exception: names that the code gives, no text from outside.

A message of an exception may quote a value of a DICOM file, a query may hold a patient's name, and so may any header.
"""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.semconv.attributes import error_attributes, exception_attributes, http_attributes, url_attributes
from opentelemetry.trace import Link, SpanContext, SpanKind, Status
from opentelemetry.util.types import AttributeValue

from radrelay_shared.errors import ConfigurationError

OURS: Final = ("messaging.", "radrelay.")
"""Beginnings of the attributes that only this code sets."""
ALLOWED_ATTRIBUTES: Final = frozenset(
    {
        error_attributes.ERROR_TYPE,
        exception_attributes.EXCEPTION_TYPE,
        http_attributes.HTTP_REQUEST_METHOD,
        http_attributes.HTTP_REQUEST_RESEND_COUNT,
        http_attributes.HTTP_RESPONSE_STATUS_CODE,
        http_attributes.HTTP_ROUTE,
        url_attributes.URL_SCHEME,
    }
)
"""Those of instrumentation that are kept. Not among them: addresses, queries, headers, peers and messages."""
_STEP_OF_ASGI: Final = "asgi.event.type"


class RedactingExporter(SpanExporter):
    """Hands spans on without whatever is not known to be harmless."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export what is left of the spans."""
        return self._inner.export([redacted(span) for span in spans if _STEP_OF_ASGI not in (span.attributes or {})])

    def shutdown(self) -> None:
        """Shut the other exporter down."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the other exporter."""
        return self._inner.force_flush(timeout_millis)


def redacted(span: ReadableSpan) -> ReadableSpan:
    """The span with allowed attributes only; of exceptions their types, of a request without route no address."""
    attributes = _allowed(span.attributes)
    name = span.name
    if span.kind is SpanKind.SERVER and http_attributes.HTTP_ROUTE not in attributes:
        name = str(attributes.get(http_attributes.HTTP_REQUEST_METHOD, "HTTP"))
    return ReadableSpan(
        name=name,
        context=_without_state(span.context),
        parent=_without_state(span.parent),
        resource=span.resource,
        attributes=attributes,
        events=[Event(each.name, _allowed(each.attributes), each.timestamp) for each in span.events],
        links=[Link(_without_state(each.context) or each.context, _allowed(each.attributes)) for each in span.links],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _allowed(attributes: Mapping[str, AttributeValue] | None) -> dict[str, AttributeValue]:
    given = (attributes or {}).items()
    return {name: value for name, value in given if name in ALLOWED_ATTRIBUTES or name.startswith(OURS)}


def _without_state(context: SpanContext | None) -> SpanContext | None:
    """Without `tracestate`, which is whatever the caller sent."""
    if context is None:
        return None
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)


def describe_fault(error: BaseException) -> str:
    """Types of an exception and of its causes, and where they came from; a message only where it is ours to show."""
    return "\n".join(_lines(error, set()))


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and id(cause) not in seen:
        yield from _lines(cause, seen)
        yield "which led to"
    yield _head(error)
    yield from _places(error.__traceback__)
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            if id(each) not in seen:
                yield from (f"| {line}" for line in _lines(each, seen))


def _head(error: BaseException) -> str:
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    if isinstance(error, ConfigurationError):
        return f"{kind}: {error}"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{kind}: errno {error.errno}"
    return kind


def _places(trace: TracebackType | None) -> Iterator[str]:
    for frame in traceback.extract_tb(trace):
        yield f"  at {'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno} in {frame.name}"
