"""OpenTelemetry tracing; spans leave the process only where an OTLP endpoint is set, and without what may name anybody.

Names of attributes follow the semantic conventions of the version that `SCHEMA_URL` names, whose package is pinned.
Those of messaging are still in development there: another version may change them.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_NAMESPACE, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from radrelay_shared.observability.redaction import RedactingExporter

SCHEMA_URL: Final = Schemas.V1_44_0.value
NAMESPACE: Final = "radrelay"
ROUND_SIZE: Final = "radrelay.round.size"
TRACEPARENT: Final = "traceparent"
"""The header that names a span (W3C Trace Context, section 3.2)."""


class TraceparentPropagator(TextMapPropagator):
    """W3C Trace Context without `tracestate`, and no baggage: both carry what a caller likes to everybody behind us."""

    def __init__(self) -> None:
        self._w3c = TraceContextTextMapPropagator()

    @property
    def fields(self) -> set[str]:
        """The one header."""
        return {TRACEPARENT}

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """The context with the span that the carrier names."""
        values = getter.get(carrier, TRACEPARENT) or []
        return self._w3c.extract({TRACEPARENT: values[0]} if values else {}, context)

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Name the context's span in the carrier."""
        own: dict[str, str] = {}
        self._w3c.inject(own, context)
        if TRACEPARENT in own:
            setter.set(carrier, TRACEPARENT, own[TRACEPARENT])


def get_tracer(name: str) -> Tracer:
    """The tracer of a module."""
    return trace.get_tracer(name, schema_url=SCHEMA_URL)


def current_traceparent() -> str | None:
    """The `traceparent` header (W3C Trace Context, section 3.2) of the span of now; None outside of any."""
    return traceparent_of(trace.get_current_span().get_span_context())


def traceparent_of(span: SpanContext) -> str | None:
    """The `traceparent` header of a span; None where it is none."""
    if not span.is_valid:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def context_of(traceparent: str | None) -> Context:
    """The context to go on in with the span that a `traceparent` names; without one, that of a new trace."""
    return propagate.extract({TRACEPARENT: traceparent} if traceparent else {}, context=Context())


@lru_cache(maxsize=4096)
def span_context_of(traceparent: str | None) -> SpanContext:
    """The span that a `traceparent` names; an invalid one without it."""
    return trace.get_current_span(context_of(traceparent)).get_span_context()


def links_to(spans: Iterable[SpanContext]) -> Sequence[Link]:
    """Links to those of the spans that are any."""
    return [Link(span) for span in spans if span.is_valid]


@contextmanager
def work_for(spans: Sequence[SpanContext], tracer: Tracer, name: str, size: str = ROUND_SIZE) -> Iterator[Span]:
    """The span of work that is done for several at once: in a trace of its own, linked to each; for one, below it.

    It is the span of now in the block. `size` is the attribute that says of how many it is.
    """
    real = [span for span in spans if span.is_valid]
    is_alone = len(real) == 1
    place = trace.set_span_in_context(NonRecordingSpan(real[0]), Context()) if is_alone else Context()
    links = () if is_alone else links_to(real)
    with tracer.start_as_current_span(name, context=place, links=links) as span:
        span.set_attribute(size, len(spans))
        yield span


def use_stable_http_conventions() -> None:
    """Let instrumentation name what it records of HTTP as `SCHEMA_URL` does; call it before anything is set up."""
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")


def configure_tracing(process: str, otlp_endpoint: str | None) -> None:
    """Make this process' spans carry its name.

    Without an endpoint spans are not recorded, unless a caller records them; they still give logs and events their
    trace id.
    """
    propagate.set_global_textmap(TraceparentPropagator())
    resource = Resource.create({SERVICE_NAME: process, SERVICE_NAMESPACE: NAMESPACE}, schema_url=SCHEMA_URL)
    provider = TracerProvider(sampler=ParentBased(ALWAYS_ON if otlp_endpoint else ALWAYS_OFF), resource=resource)
    if otlp_endpoint:
        exporter = RedactingExporter(OTLPSpanExporter(endpoint=f"{otlp_endpoint}/v1/traces"))
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
