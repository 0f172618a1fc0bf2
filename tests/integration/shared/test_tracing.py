"""One trace goes from a request through the outbox and JetStream into the consumer."""

import asyncio
import secrets

import pytest
from nats.js.api import ConsumerConfig
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from radrelay_shared.database import Database, OutboxRelay, Scope, enqueue
from radrelay_shared.messaging import (
    Consumer,
    Delivery,
    Durable,
    NatsSettings,
    Publisher,
    connect,
    durables,
    ensure_topology,
)
from report_service.adapters.tables import OutboxRow
from support.events import instance_stored
from support.stack import Infrastructure, ProvisionedDatabases
from support.tenants import new_tenant


@pytest.fixture
def spans() -> InMemorySpanExporter:
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


async def test_the_consumers_span_belongs_to_the_trace_that_wrote_the_outbox_row(
    infra: Infrastructure, provisioned: ProvisionedDatabases, spans: InMemorySpanExporter
) -> None:
    tenant = new_tenant()
    addresses = provisioned("report")
    assert addresses.system_url is not None
    handled = asyncio.Event()

    async def handle(_: Delivery) -> None:
        handled.set()

    settings = NatsSettings(url=infra.nats_url)
    async with (
        Database(addresses.app_url) as database,
        Database(addresses.system_url) as system,
        connect(settings, name="tracing") as client,
    ):
        js = client.jetstream()
        await ensure_topology(js, settings.streams)
        subject = f"radrelay.v1.{tenant}.instance.stored.routine"
        durable = Durable(f"{tenant}-tracing", durables.INSTANCES, (subject,))
        await js.add_consumer(
            durable.stream.name,
            ConsumerConfig(name=durable.name, durable_name=durable.name, filter_subjects=[subject]),
        )
        with trace.get_tracer("test").start_as_current_span("request", context=_recorded_by_a_caller()) as request:
            async with database.transaction(Scope.service(tenant)) as session:
                await enqueue(session, OutboxRow, instance_stored(tenant=tenant))
        # Outside the request's span, as the relay is in its own process.
        relay = OutboxRelay(system, OutboxRow, Publisher(js))
        while await relay.relay_once():  # other tests may have left more rows than one batch has
            pass
        stop = asyncio.Event()
        running = asyncio.create_task(Consumer(js, durable, handle).run(stop))
        await handled.wait()
        stop.set()
        await running

    trace_id = request.get_span_context().trace_id
    by_name = {span.name: span for span in spans.get_finished_spans() if _trace_id(span) == trace_id}
    sent, processed = (
        by_name[f"{operation} radrelay.v1.{{tenant}}.instance.stored.routine"] for operation in ("send", "process")
    )
    assert sent.parent is not None
    assert sent.parent.span_id == request.get_span_context().span_id
    assert processed.parent is not None
    assert sent.context is not None
    assert processed.parent.span_id == sent.context.span_id
    assert processed.attributes is not None
    assert processed.attributes["messaging.system"] == "nats"


def _recorded_by_a_caller() -> Context:
    """So that spans are recorded also where this process has no endpoint to send them to."""
    caller = SpanContext(
        trace_id=secrets.randbits(128) | 1,
        span_id=secrets.randbits(64) | 1,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(NonRecordingSpan(caller))


def _trace_id(span: ReadableSpan) -> int | None:
    return span.context.trace_id if span.context else None
