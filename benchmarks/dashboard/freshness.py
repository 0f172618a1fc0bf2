"""How soon a report is in the figures that somebody watches."""

import asyncio
import json
from datetime import UTC, datetime
from time import perf_counter
from typing import Final
from uuid import uuid4

import aiohttp

from benchmarks.dashboard.stack import DashboardStack
from benchmarks.execution import Say
from benchmarks.percentiles import percentile
from benchmarks.results import Figure, Spread, Table
from radrelay_shared.events import Event, ModelRef, ReportCreated, Urgency, make_event
from radrelay_shared.messaging import NatsSettings, Publisher, connect

RATE_PER_S: Final = 20
"""Reports a second, as of a site that screens 1.7 million images a day."""
_AT_MOST_MS: Final = 200.0
_TIMEOUT_S: Final = 60.0
_MODEL: Final = ModelRef(
    name="made-up", version="1", digest="sha256:" + "5e" * 32, label="made up", intended_use="To measure."
)


async def measure_freshness(
    stack: DashboardStack, *, rounds: int, reports: int, say: Say
) -> tuple[list[Figure], list[Table]]:
    """From before an event is published until the stream of figures has counted it, at a steady rate."""
    found = []
    async with (
        connect(NatsSettings(url=stack.nats_url), name="benchmark") as client,
        aiohttp.ClientSession(stack.api_url, timeout=aiohttp.ClientTimeout(total=None)) as http,
    ):
        publisher = Publisher(client.jetstream())
        for number in range(rounds + 1):
            say(f"events to figures, round {number} of {rounds}" if number else "some events, to warm up")
            found.append(await _round(stack, publisher, http, reports if number else RATE_PER_S))
    figure = Figure(
        what=f"From event to dashboard, 95th percentile, {RATE_PER_S} events a second",
        unit="ms",
        value=Spread.of([percentile(delays_ms, 95) for delays_ms in found[1:]]),
        at_most=_AT_MOST_MS,
    )
    together = [each for delays_ms in found[1:] for each in delays_ms]
    table = Table(
        title="From event to dashboard (ms), all rounds together",
        columns=("events", "median", "95%", "99%", "most"),
        rows=((str(len(together)), *(percentile(together, each) for each in (50, 95, 99)), max(together)),),
    )
    return [figure], [table]


async def _round(stack: DashboardStack, publisher: Publisher, http: aiohttp.ClientSession, reports: int) -> list[float]:
    tenant = f"bench-{uuid4().hex[:12]}"
    headers = {"Authorization": f"Bearer {stack.issue_token(tenant, 'benchmark', ['clinician'])}"}
    published_at: list[float] = []
    seen_at: list[float] = []
    async with (
        asyncio.timeout(reports / RATE_PER_S + _TIMEOUT_S),
        http.get("/v1/summary/events", headers=headers) as response,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(_publish(publisher, tenant, reports, published_at))
        async for line in response.content:
            if line.startswith(b"data:"):
                total: int = json.loads(line.removeprefix(b"data:"))["total_cases"]
                # The n-th event is in the figures once n cases are.
                seen_at += [perf_counter()] * (total - len(seen_at))
            if len(seen_at) == reports:
                break
    return [1000 * (seen - published) for seen, published in zip(seen_at, published_at, strict=True)]


async def _publish(publisher: Publisher, tenant: str, reports: int, published_at: list[float]) -> None:
    started = perf_counter()
    for number in range(reports):
        await asyncio.sleep(max(0.0, started + number / RATE_PER_S - perf_counter()))
        event = _report(tenant)
        published_at.append(perf_counter())
        await publisher.publish(event)


def _report(tenant: str) -> Event[ReportCreated]:
    instance_id, now = uuid4(), datetime.now(UTC)
    report = ReportCreated(
        report_id=uuid4(),
        instance_id=instance_id,
        batch_id=uuid4(),
        owner_id="benchmark",
        sop_instance_uid=f"2.25.{instance_id.int}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        study_instance_uid=f"2.25.{uuid4().int}",
        series_instance_uid=f"2.25.{uuid4().int}",
        modality="CT",
        model=_MODEL,
        finding="made up",
        positive=True,
        probability_raw=0.9,
        probability=0.8,
        confidence=0.8,
        urgency=Urgency.URGENT,
        received_at=now,
        completed_at=now,
        created_at=now,
        priority=Urgency.ROUTINE,
    )
    return make_event(report, tenant=tenant, source="/radrelay/benchmark")
