"""OpenTelemetry tracing; spans leave the process only where an OTLP endpoint is set."""

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased

get_tracer = trace.get_tracer


def current_traceparent() -> str | None:
    """The `traceparent` header (W3C Trace Context, section 3.2) of the span of now; None outside of any."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")


def configure_tracing(service: str, otlp_endpoint: str | None) -> None:
    """Make this process' spans carry its name.

    Without an endpoint spans are not recorded, unless a caller records them; they still give logs and events their
    trace id.
    """
    sampler = ParentBased(ALWAYS_ON if otlp_endpoint else ALWAYS_OFF)
    provider = TracerProvider(sampler=sampler, resource=Resource.create({SERVICE_NAME: service}))
    if otlp_endpoint:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{otlp_endpoint}/v1/traces")))
    trace.set_tracer_provider(provider)
