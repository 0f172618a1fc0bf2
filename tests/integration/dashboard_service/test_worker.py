"""The worker's jobs on a real broker and a real database."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from nats.js import JetStreamContext

from dashboard_service import bootstrap, consumer
from dashboard_service.adapters.figures import PostgresFigureStore
from dashboard_service.handlers.counting import CountStore, count_event
from dashboard_service.settings import DashboardSettings, TimeZones
from radrelay_shared.database import Database
from radrelay_shared.events import Event, EventData, InferenceFailed, ReportCreated
from radrelay_shared.messaging import Publisher, connect, durables, ensure_topology
from radrelay_shared.messaging.deadletters import REASON
from radrelay_shared.messaging.topology import dead_letter_subject
from support.dashboard import total_cases
from support.events import inference_failed, report_created, report_erased, report_reviewed
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


async def totals(database: Database, tenant: str) -> tuple[int, int]:
    return await total_cases(PostgresFigureStore(database, TimeZones()), tenant)


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
    assert await totals(database, tenant) == (20, 5)


@pytest.mark.parametrize("kind", [ReportCreated, InferenceFailed])
async def test_a_crash_between_commit_and_acknowledgement_does_not_count_twice(
    open_worker: OpenWorker,
    database: Database,
    js: JetStreamContext,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[EventData],
) -> None:
    tenant = new_tenant()
    attempts: list[bool] = []

    async def commit_then_crash(event: Event[Any], *, consumer: str, counts: CountStore) -> bool:
        counted = await count_event(event, consumer=consumer, counts=counts)
        if event.tenant == tenant and isinstance(event.data, kind):
            attempts.append(counted)
            if len(attempts) == 1:
                raise ConnectionError
        return counted

    monkeypatch.setattr(consumer, "count_event", commit_then_crash)
    async with working(open_worker):
        await Publisher(js).publish(report_created(tenant=tenant))
        await Publisher(js).publish(inference_failed(tenant=tenant))
        await until_settled(js, *DURABLES)
    assert attempts == [True, False]
    assert await totals(database, tenant) == (1, 1)


async def test_reviews_and_erasures_come_by_the_same_durable(
    open_worker: OpenWorker, database: Database, js: JetStreamContext
) -> None:
    tenant = new_tenant()
    first, second = report_created(tenant=tenant), report_created(tenant=tenant)
    async with working(open_worker):
        for event in (report_reviewed(first), first, second, report_erased(second)):
            await Publisher(js).publish(event)
        await until_settled(js, *DURABLES)
    assert await totals(database, tenant) == (1, 0)


async def test_what_cannot_be_counted_becomes_a_dead_letter_and_its_neighbours_are_counted(
    open_worker: OpenWorker, database: Database, js: JetStreamContext
) -> None:
    tenant = new_tenant()
    poison = report_created(tenant=tenant, modality="C\0T")
    async with working(open_worker):
        for event in (report_created(tenant=tenant), poison, report_created(tenant=tenant)):
            await Publisher(js).publish(event)
        await until_settled(js, *DURABLES)
    assert await totals(database, tenant) == (2, 0)
    subject = dead_letter_subject(tenant, durables.DASHBOARD_REPORTS)
    message = await js.get_last_msg(durables.DEAD_LETTERS.name, subject)
    assert message.headers is not None
    assert (message.headers[REASON], message.data) == ("unstorable_text", poison.to_json())
