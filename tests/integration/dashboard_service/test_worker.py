"""The worker's jobs on a real broker and a real database."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from nats.js import JetStreamContext

from dashboard_service import bootstrap
from dashboard_service.adapters.postgres import PostgresCountStore
from dashboard_service.consumer import CountingConsumer
from dashboard_service.domain.summary import Summary, SummaryScope
from dashboard_service.handlers import get_summary
from dashboard_service.settings import DashboardSettings
from radrelay_shared.auth import Principal, Role
from radrelay_shared.database import Database
from radrelay_shared.events import Event
from radrelay_shared.messaging import Delivery, Publisher, connect, durables, ensure_topology
from radrelay_shared.messaging.deadletters import REASON
from radrelay_shared.messaging.topology import dead_letter_subject
from support.events import inference_failed, report_created
from support.tenants import new_tenant
from support.workers import OpenWorker, publish_again, until_settled, working

DURABLES = (durables.DASHBOARD_REPORTS, durables.DASHBOARD_FAILURES)


@pytest.fixture(scope="module")
async def js(settings: DashboardSettings) -> AsyncIterator[JetStreamContext]:
    async with connect(settings.nats, name="test") as client:
        context = client.jetstream()
        await ensure_topology(context, settings.nats.streams)
        yield context


@pytest.fixture
def open_worker(settings: DashboardSettings) -> OpenWorker:
    return partial(bootstrap.open_worker, settings)


async def summary_of(database: Database, tenant: str) -> Summary:
    principal = Principal(tenant, "boss", frozenset({Role.TENANT_ADMIN}))
    return await get_summary(SummaryScope.TENANT, principal=principal, counts=PostgresCountStore(database))


async def test_reports_and_failures_are_counted_once_however_often_they_come(
    open_worker: OpenWorker, database: Database, js: JetStreamContext
) -> None:
    tenant = new_tenant()
    events: list[Event[Any]] = [report_created(tenant=tenant) for _ in range(20)]
    events += [inference_failed(tenant=tenant) for _ in range(5)]
    async with working(open_worker):
        await asyncio.gather(*(Publisher(js).publish(event) for event in events))
        await asyncio.gather(*(publish_again(js, event) for event in events))
        await until_settled(js, *DURABLES)
    summary = await summary_of(database, tenant)
    assert (summary.total_cases, summary.failed_cases) == (20, 5)


@pytest.mark.parametrize("method", ["handle_report", "handle_failure"])
async def test_a_crash_between_commit_and_acknowledgement_does_not_count_twice(
    open_worker: OpenWorker,
    database: Database,
    js: JetStreamContext,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    tenant = new_tenant()
    handle = getattr(CountingConsumer, method)
    attempts: list[int] = []

    async def commit_then_crash(self: CountingConsumer, delivery: Delivery) -> None:
        await handle(self, delivery)
        if delivery.tenant == tenant:
            attempts.append(delivery.attempt)
            if delivery.attempt == 1:
                raise ConnectionError

    monkeypatch.setattr(CountingConsumer, method, commit_then_crash)
    async with working(open_worker):
        await Publisher(js).publish(report_created(tenant=tenant))
        await Publisher(js).publish(inference_failed(tenant=tenant))
        await until_settled(js, *DURABLES)
    summary = await summary_of(database, tenant)
    assert attempts == [1, 2]
    assert (summary.total_cases, summary.failed_cases) == (1, 1)


async def test_what_cannot_be_counted_becomes_a_dead_letter_and_its_neighbours_are_counted(
    open_worker: OpenWorker, database: Database, js: JetStreamContext
) -> None:
    tenant = new_tenant()
    poison = report_created(tenant=tenant, modality="C\0T")
    async with working(open_worker):
        for event in (report_created(tenant=tenant), poison, report_created(tenant=tenant)):
            await Publisher(js).publish(event)
        await until_settled(js, *DURABLES)
    assert (await summary_of(database, tenant)).total_cases == 2
    subject = dead_letter_subject(tenant, durables.DASHBOARD_REPORTS)
    message = await js.get_last_msg(durables.DEAD_LETTERS.name, subject)
    assert message.headers is not None
    assert (message.headers[REASON], message.data) == ("unstorable_text", poison.to_json())
