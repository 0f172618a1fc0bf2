"""What leaves the process of a span and of an exception: names of the code, and no text from outside."""

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from radrelay_shared.errors import ConfigurationError
from radrelay_shared.observability.redaction import RedactingExporter, describe_fault
from radrelay_shared.observability.tracing import TraceparentPropagator

SECRET = "DOE^JANE"


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exported: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(RedactingExporter(exported)))
    return provider


def test_a_span_keeps_what_the_code_names_and_loses_what_came_from_outside(
    provider: TracerProvider, exported: InMemorySpanExporter
) -> None:
    tracer = provider.get_tracer("test")
    given: dict[str, str | int] = {
        "url.query": SECRET,
        "user_agent.original": SECRET,
        "http.route": "/v1/batches",
        "radrelay.x": 1,
    }

    def handle() -> None:
        with tracer.start_as_current_span("GET /v1/batches", kind=SpanKind.SERVER, attributes=given) as span:
            span.add_event("note", {"text": SECRET})
            int(SECRET)

    with pytest.raises(ValueError, match="DOE"):
        handle()
    (left,) = exported.get_finished_spans()
    assert SECRET not in left.to_json()
    assert dict(left.attributes or {}) == {"http.route": "/v1/batches", "radrelay.x": 1}
    assert [(each.name, dict(each.attributes or {})) for each in left.events] == [
        ("note", {}),
        ("exception", {"exception.type": "ValueError"}),
    ]
    assert left.status.status_code is StatusCode.ERROR


def test_a_request_that_no_route_takes_is_named_without_its_address(
    provider: TracerProvider, exported: InMemorySpanExporter
) -> None:
    attributes = {"http.request.method": "GET", "url.path": f"/{SECRET}"}
    provider.get_tracer("test").start_span(f"GET /{SECRET}", kind=SpanKind.SERVER, attributes=attributes).end()
    (left,) = exported.get_finished_spans()
    assert left.name == "GET"
    assert SECRET not in left.to_json()


def test_what_a_caller_adds_to_a_trace_goes_no_further(
    provider: TracerProvider, exported: InMemorySpanExporter
) -> None:
    caller = {
        "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01",
        "tracestate": "patient=doe",
        "baggage": f"patient={SECRET}",
    }
    propagator = TraceparentPropagator()
    context = propagator.extract(caller, Context())
    with provider.get_tracer("test").start_as_current_span("work", context=context):
        sent: dict[str, str] = {}
        propagator.inject(sent)
        assert get_current_span().get_span_context().trace_id == int("ab" * 16, 16)
    assert sent.keys() == {"traceparent"}
    (left,) = exported.get_finished_spans()
    assert "doe" not in left.to_json()


def test_a_fault_is_told_by_types_and_places_and_never_by_its_text() -> None:
    def choke() -> None:
        try:
            int(SECRET)
        except ValueError as error:
            raise ExceptionGroup(SECRET, [FileNotFoundError(2, SECRET, SECRET), KeyError(SECRET)]) from error

    with pytest.raises(ExceptionGroup) as caught:
        choke()
    told = describe_fault(caught.value)
    assert "DOE" not in told
    assert [line for line in told.splitlines() if "at " not in line] == [
        "ValueError",
        "which led to",
        "ExceptionGroup",
        "| FileNotFoundError: errno 2",
        "| KeyError",
    ]
    assert "unit/shared/test_redaction.py:" in told
    assert "in choke" in told


def test_a_fault_of_the_set_up_says_what_is_not_set() -> None:
    assert "X_URL is not set" in describe_fault(ConfigurationError("X_URL is not set"))
