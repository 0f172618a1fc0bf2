"""What the whole product tells of itself while it works: one trace, metrics, and nothing that names a patient."""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import asyncpg
import nats
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from radrelay_local.parts.services import DEMONSTRATION_PEER
from radrelay_shared.observability.tracing import SCHEMA_URL
from support import promql
from support.canary_job import CanaryJob
from support.otlp import ReceivedSpan, Receiver, tree
from support.sinks import logs_of, messages_of, metrics_of, spans_of, tables_of
from support.stack import RunningStack

KEPT_ON_PURPOSE = {
    "ingest.batch_file.name": "the owner sees which of the files was refused",
    "ingest.rejected_file.name": "the same, as long as the file is kept",
    "ingest.resumable_upload.metadata": "a client is given its metadata back; the name goes to the batch's files",
}
"""Where the product keeps names that somebody gave to files. Objects, which are the files, are not searched."""
FAULTS = {
    "inference-worker": "inference-routine",
    "report-worker": "report-results",
    "ingest-worker": "ingest-inference",
    "dashboard-worker": "dashboard-reports",
}
"""Workers, and the durable by which each was given an event that makes its handler fail."""


@pytest.fixture(scope="module")
async def job(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> CanaryJob:
    job = CanaryJob()
    await job.run(stack, tmp_path_factory.mktemp("canaries"))
    async with asyncio.timeout(60):
        while missing := {worker for worker, durable in FAULTS.items() if not _has_failed(stack, worker, durable)}:
            assert missing
            await asyncio.sleep(0.2)
    return job


def _has_failed(stack: RunningStack, worker: str, durable: str) -> bool:
    lines = map(json.loads, _json_lines(stack.folders.log(worker)))
    return any(line.get("message") == "handling failed" and line.get("durable") == durable for line in lines)


def _json_lines(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if line.startswith("{")]


def ancestry(span: ReceivedSpan, spans: Iterable[ReceivedSpan]) -> list[tuple[str, str]]:
    """Process and name of a span and of all above it, from the root."""
    by_id = {each.span_id: each for each in spans}
    path = [span]
    while path[-1].parent_id in by_id:
        path.append(by_id[path[-1].parent_id])
    return [(each.process, each.name) for each in reversed(path)]


def counted(spans: Iterable[ReceivedSpan]) -> list[ReceivedSpan]:
    return [each for each in spans if each.process == "dashboard-worker" and each.name.endswith(".report.created")]


SEND, PROCESS = "send radrelay.v1.{tenant}.", "process radrelay.v1.{tenant}."
FROM_THE_OUTBOX_ON = [
    ("ingest-worker", f"{SEND}instance.stored.routine"),
    ("inference-worker", f"{PROCESS}instance.stored.routine"),
    ("inference-worker", f"{SEND}inference.completed"),
    ("report-worker", f"{PROCESS}inference.completed"),
    ("report-worker", f"{SEND}report.created"),
    ("dashboard-worker", f"{PROCESS}report.created"),
]


def comes(
    telemetry: Receiver,
    traces: Callable[[], Iterable[str]],
    which: Callable[[Iterable[ReceivedSpan]], list[ReceivedSpan]],
    path: list[tuple[str, str]],
) -> None:
    """Wait until such a span of one of the traces has this path above it: processes export theirs when they like."""

    def found(_: Sequence[ReceivedSpan]) -> bool:
        whole = (telemetry.of_trace(trace) for trace in traces())
        return any(ancestry(span, spans) == path for spans in whole for span in which(spans))

    try:
        telemetry.until(found)
    except TimeoutError:
        pytest.fail("\n".join(tree(telemetry.of_trace(trace)) for trace in traces()))


def served_by_the_model(spans: Iterable[ReceivedSpan]) -> list[ReceivedSpan]:
    return [each for each in spans if each.process == "model-server" and each.kind == "SERVER"]


def test_one_trace_goes_from_an_upload_to_the_dashboard(telemetry: Receiver, job: CanaryJob) -> None:
    def trace() -> list[str]:
        return [job.trace_id]

    upload = ("ingest-api", "POST /v1/batches/{batch_id}/files")
    comes(telemetry, trace, counted, [upload, *FROM_THE_OUTBOX_ON])
    called = [("inference-worker", "model"), ("inference-worker", "POST /screen"), ("model-server", "POST /screen")]
    comes(telemetry, trace, served_by_the_model, [upload, *FROM_THE_OUTBOX_ON[:2], *called])
    spans = telemetry.of_trace(job.trace_id)
    assert (len(counted(spans)), len(served_by_the_model(spans))) == (1, 1), tree(spans)


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize(
    ("begun_by", "beginning"),
    [
        ("take in upload", [("ingest-api", "PATCH /v1/uploads/{upload_id}"), ("ingest-worker", "take in upload")]),
        ("dimse.c_store", [("ingest-dimse", "dimse.c_store")]),
    ],
)
def test_the_trace_of_an_upload_in_pieces_and_of_an_image_that_a_modality_sends_goes_as_far(
    telemetry: Receiver, begun_by: str, beginning: list[tuple[str, str]]
) -> None:
    def traces() -> list[str]:
        return [each.trace_id for each in telemetry.spans if each.name == begun_by]

    comes(telemetry, traces, counted, [*beginning, *FROM_THE_OUTBOX_ON])


def test_spans_of_messages_follow_the_pinned_conventions_and_a_redelivery_is_linked_to_the_attempt_before(
    telemetry: Receiver, job: CanaryJob
) -> None:
    def attempts_at_one_message() -> dict[int, ReceivedSpan]:
        """The first two, by their number; of several messages that were tried twice, those of any."""
        ours = (each for each in telemetry.spans if job.faulty_tenant in str(each.attributes))
        of_reports = [each for each in ours if each.attributes.get("messaging.consumer.group.name") == "report-results"]
        by_message: dict[object, dict[int, ReceivedSpan]] = {}
        for each in of_reports:
            if each.failed:
                attempts = by_message.setdefault(each.attributes["messaging.message.id"], {})
                attempts[int(each.attributes["radrelay.delivery.attempt"])] = each
        return next((attempts for attempts in by_message.values() if {1, 2} <= attempts.keys()), {})

    telemetry.until(lambda _: bool(attempts_at_one_message()))
    first, second = (attempts_at_one_message()[number] for number in (1, 2))
    assert second.links == ((first.trace_id, first.span_id),)
    assert first.span_id not in (second.parent_id, second.span_id)
    assert first.schema_url == SCHEMA_URL
    assert first.kind == "CONSUMER"
    subject = f"radrelay.v1.{job.faulty_tenant}.inference.completed"
    assert first.attributes | {"messaging.message.id": ""} == {
        "messaging.system": "nats",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": subject,
        "messaging.destination.template": "radrelay.v1.{tenant}.inference.completed",
        "messaging.consumer.group.name": "report-results",
        "messaging.message.id": "",
        "radrelay.delivery.attempt": 1,
        "radrelay.delivery.outcome": "retried",
    }


def test_a_retry_by_hand_is_linked_to_the_upload_that_brought_the_image(telemetry: Receiver, job: CanaryJob) -> None:
    def retries() -> list[ReceivedSpan]:
        return [each for each in telemetry.spans if each.name == "POST /v1/batches/{batch_id}/retry"]

    def ours() -> list[ReceivedSpan]:
        return [each for each in retries() if job.retried_trace_id in {trace for trace, _ in each.links}]

    telemetry.until(lambda _: bool(ours()))
    (retry,) = ours()
    uploads = {each.span_id for each in telemetry.of_trace(job.retried_trace_id) if each.process == "ingest-api"}
    assert {span for _, span in retry.links} <= uploads
    assert retry.trace_id != job.retried_trace_id
    telemetry.until(lambda _: any("inference.failed" in each.name for each in telemetry.of_trace(retry.trace_id)))


async def everything(stack: RunningStack, telemetry: Receiver, job: CanaryJob) -> dict[str, list[bytes]]:
    """All sinks but for payloads that the test published itself: a dead letter keeps its message whole."""
    pages = await metrics_of(stack)
    messages = await messages_of(stack)
    return {
        **{name: list(lines) for name, lines in logs_of(stack).items()},
        **{name: list(bodies) for name, bodies in spans_of(telemetry).items()},
        **{f"metrics of {process}": [page.encode()] for process, page in pages.items()},
        "answers": job.refusals,
        "message headers": [headers for _, headers, _ in messages],
        "messages": [payload for subject, _, payload in messages if f".{job.faulty_tenant}." not in subject],
        **await tables_of(stack),
    }


async def test_nothing_that_names_a_patient_is_in_any_sink(
    stack: RunningStack, telemetry: Receiver, job: CanaryJob
) -> None:
    assert [batch.counts.reported for batch in job.batches] == [1, 1]
    telemetry.until(lambda _: bool(counted(telemetry.of_trace(job.trace_id))))
    found = job.canaries.found_in(await everything(stack, telemetry, job))
    assert {sink for sink, _ in found} >= {"ingest.batch_file.name"}, "the search finds nothing where something is"
    assert sorted(each for each in found if each[0] not in KEPT_ON_PURPOSE) == []


async def test_the_search_finds_a_leak_in_every_kind_of_sink(
    stack: RunningStack, telemetry: Receiver, job: CanaryJob, tmp_path: Path
) -> None:
    planted = CanaryJob()
    put = planted.canaries.put
    log = stack.folders.log("planted")
    log.write_text(json.dumps({"message": put("log")}) + "\n")
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{telemetry.endpoint}/v1/traces")))
    with provider.get_tracer("planted").start_as_current_span("planted") as span:
        span.set_attribute("patient", put("span"))
    client = await nats.connect(stack.nats_url)
    subject = f"radrelay.v1.{job.tenant}.report.planted"
    await client.jetstream().publish(subject, put("message").encode(), headers={"Planted": put("header")})
    await client.close()
    connection = await asyncpg.connect(stack.postgres_admin_url.rsplit("/", 1)[0] + "/radrelay")
    try:
        await connection.execute("CREATE TABLE report.planted AS SELECT $1::text AS value", put("table"))
        found = planted.canaries.found_in(await everything(stack, telemetry, job))
    finally:
        await connection.execute("DROP TABLE report.planted")
        await connection.close()
        log.unlink()
    assert found == {
        ("log of planted", "log"),
        ("spans", "span"),
        ("messages", "message"),
        ("message headers", "header"),
        ("report.planted.value", "table"),
    }


OF_PROMETHEUS = {"up"}
"""What Prometheus makes by itself."""
NOT_ALWAYS_THERE = frozenset({"status"})
"""Labels whose value may be one that did not happen: there is a series for 5xx only after the first."""


async def samples_of(stack: RunningStack) -> list[Sample]:
    """What Prometheus would have, with the label that its settings add."""
    return [
        sample._replace(labels={**sample.labels, "job": process})
        for process, page in (await metrics_of(stack)).items()
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    ]


async def test_metrics_say_what_became_of_the_job(stack: RunningStack, job: CanaryJob) -> None:
    def total(name: str, **labels: str) -> float:
        return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())

    poison = len(FAULTS)
    async with asyncio.timeout(60):
        while True:
            samples = await samples_of(stack)
            if total("radrelay_dead_letters", job="ingest-worker") >= poison:
                break
            await asyncio.sleep(0.5)
    assert total("radrelay_report_turnaround_seconds_count", lane="routine", tenant="other") >= len(job.batches)
    assert total("radrelay_report_turnaround_seconds_count", tenant=DEMONSTRATION_PEER["tenant"]) >= 1
    assert total("radrelay_model_cold_start_seconds_count") >= 1
    assert total("radrelay_model_batch_images_sum") >= len(job.batches)
    assert total("radrelay_inference_failed_total", reason="outside_intended_use") >= 2
    assert total("radrelay_ingest_files_rejected_total", reason="unsafe_path") >= 1
    assert total("radrelay_events_consumed_total", durable="report-results", outcome="retried") >= 1


async def test_rules_and_dashboards_ask_for_series_that_are_there(stack: RunningStack, job: CanaryJob) -> None:
    made = {rule["record"] for rule in promql.rules() if "record" in rule} | OF_PROMETHEUS
    series = [(sample.name, sample.labels) for sample in await samples_of(stack)]
    missing = [
        f"{place}: {selector}"
        for place, query in promql.queries().items()
        for selector in promql.selectors_in(query)
        if selector.metric not in made
        and not any(name == selector.metric and selector.takes(labels, NOT_ALWAYS_THERE) for name, labels in series)
    ]
    assert missing == []
