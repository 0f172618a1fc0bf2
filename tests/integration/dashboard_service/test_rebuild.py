"""A read model made anew from the streams: the same figures, while the service is up."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from nats.js import JetStreamContext
from sqlalchemy import text

from dashboard_service import bootstrap
from dashboard_service.adapters.counting import PostgresCountStore
from dashboard_service.adapters.figures import PostgresFigureStore
from dashboard_service.adapters.history import JetStreamHistory
from dashboard_service.adapters.rebuilding import PostgresRebuildStore
from dashboard_service.handlers.counting import count_event
from dashboard_service.handlers.rebuilding import Overtaken, Progress, Rebuilt, rebuild
from dashboard_service.rebuild import rebuild_all
from dashboard_service.settings import DashboardSettings, TimeZones
from radrelay_shared.database import Database, DatabaseSettings, Scope
from radrelay_shared.events import Event, ReportErased, Verdict
from radrelay_shared.messaging import Publisher, connect, durables, ensure_topology
from support.dashboard import rollups_of, total_cases
from support.events import RECEIVED_AT, inference_failed, report_created, report_erased, report_reviewed
from support.tenants import new_tenant
from support.workers import OpenWorker, until_settled, working

DURABLES = (durables.DASHBOARD_REPORTS, durables.DASHBOARD_FAILURES)
LATER = datetime(2096, 3, 14, 9, 30, tzinfo=UTC)
"""After the streams were made, so that they tell all of it."""


@pytest.fixture(scope="module")
async def js(settings: DashboardSettings) -> AsyncIterator[JetStreamContext]:
    async with connect(settings.nats, name="test") as client:
        context = client.jetstream()
        await ensure_topology(context, settings.nats.streams)
        yield context


@pytest.fixture
def open_worker(settings: DashboardSettings) -> OpenWorker:
    return partial(bootstrap.open_worker, settings)


@pytest.fixture(scope="module")
async def system(dashboard_database: DatabaseSettings) -> AsyncIterator[Database]:
    assert dashboard_database.system_url is not None
    async with Database(dashboard_database.system_url) as opened:
        yield opened


@pytest.fixture
def models(database: Database, system: Database) -> PostgresRebuildStore:
    return PostgresRebuildStore(database, system, TimeZones())


def events_of(tenant: str, received_at: datetime) -> list[Event[Any]]:
    """Reports, two of them reviewed and one erased; a failure, and one that a report took back."""
    created = [report_created(tenant=tenant, received_at=received_at, positive=number % 2 == 0) for number in range(8)]
    retried = uuid4()
    return [
        report_reviewed(created[0], verdict=Verdict.DISAGREE),
        *created,
        report_reviewed(created[0], review_version=2),
        report_reviewed(created[1], verdict=Verdict.UNSURE),
        report_erased(created[2]),
        inference_failed(tenant=tenant, received_at=received_at),
        inference_failed(tenant=tenant, received_at=received_at, instance_id=retried),
        report_created(tenant=tenant, received_at=received_at, instance_id=retried),
    ]


async def rebuilt(settings: DashboardSettings, tenant: str, told: list[Progress] | None = None) -> Rebuilt:
    tell = (told if told is not None else []).append
    (one,) = [each async for each in rebuild_all(settings, [tenant], tell)]
    return one


async def sql(database: Database, tenant: str, statement: str) -> Any:
    async with database.transaction(Scope.service(tenant)) as session:
        return await session.execute(text(statement))


async def test_a_rebuild_mends_what_was_changed_and_gives_identical_figures(
    settings: DashboardSettings, open_worker: OpenWorker, database: Database, js: JetStreamContext
) -> None:
    tenant = new_tenant()
    async with working(open_worker):
        for event in events_of(tenant, LATER):
            await Publisher(js).publish(event)
        await until_settled(js, *DURABLES)
    before = await rollups_of(database, tenant)
    await sql(database, tenant, "UPDATE dashboard.case_rollups SET cases = cases + 7")
    await sql(database, tenant, "UPDATE dashboard.cases SET confidence = 0.5 WHERE NOT erased")
    await sql(database, tenant, "DELETE FROM dashboard.failures")
    await sql(database, tenant, "DELETE FROM dashboard.turnaround_rollups")
    result = await rebuilt(settings, tenant)
    assert (result.events, result.passed_over, result.kept) == (15, 0, 0)
    after = await rollups_of(database, tenant)
    assert after == before
    assert all(before.values())


async def test_what_was_replaced_is_gone(
    settings: DashboardSettings, open_worker: OpenWorker, database: Database, js: JetStreamContext
) -> None:
    tenant = new_tenant()
    async with working(open_worker):
        for event in events_of(tenant, LATER):
            await Publisher(js).publish(event)
        await until_settled(js, *DURABLES)
    shown = [1]
    for _ in range(2):
        await rebuilt(settings, tenant)
        found = {
            number
            for table in ("generations", "cases", "failures", "case_rollups", "failure_rollups")
            for number in (await sql(database, tenant, f"SELECT generation FROM dashboard.{table}")).scalars()
        }
        assert len(found) == 1
        shown += found
    assert len(set(shown)) == 3


async def test_what_happens_during_a_rebuild_is_counted_and_the_figures_stay_up(
    settings: DashboardSettings, open_worker: OpenWorker, database: Database, js: JetStreamContext
) -> None:
    tenant, figures = new_tenant(), PostgresFigureStore(database, TimeZones())
    publisher = Publisher(js)
    for _ in range(250):
        await publisher.publish(report_created(tenant=tenant))
    async with working(open_worker):
        await until_settled(js, *DURABLES)
        told: list[Progress] = []
        rebuilding = asyncio.create_task(rebuilt(settings, tenant, told))
        seen = [await total_cases(figures, tenant)]
        published = 250
        while not rebuilding.done():
            await publisher.publish(report_created(tenant=tenant))
            published += 1
            seen.append(await total_cases(figures, tenant))
        await rebuilding
        await until_settled(js, *DURABLES)
    assert published > 250
    assert await total_cases(figures, tenant) == (published, 0)
    assert min(seen) == (250, 0)
    assert seen == sorted(seen)
    assert [each.tenant for each in told] == [tenant] * len(told)
    assert told
    assert [each.share for each in told] == sorted(each.share for each in told)


async def test_what_is_older_than_the_streams_is_kept(
    settings: DashboardSettings, open_worker: OpenWorker, database: Database, js: JetStreamContext
) -> None:
    tenant = new_tenant()
    counts = PostgresCountStore(database, settings.time_zones)
    old = events_of(tenant, RECEIVED_AT)
    for event in old:  # counted, and in no stream any more
        await count_event(event, consumer="long ago", counts=counts)
    reported = next(event for event in old if event.type.endswith("report.created.v1"))
    news: list[Event[Any]] = [
        report_reviewed(reported, review_version=9, verdict=Verdict.UNSURE),
        report_created(tenant=tenant, received_at=LATER),
    ]
    async with working(open_worker):
        for event in news:
            await Publisher(js).publish(event)
        await until_settled(js, *DURABLES)
    before = await rollups_of(database, tenant)
    result = await rebuilt(settings, tenant)
    assert result.events == 2
    assert await rollups_of(database, tenant) == before
    # What was erased long ago stays known: a late repeat of its report counts nothing.
    for event in old:
        if not isinstance(event.data, ReportErased):
            await count_event(event, consumer="a late repeat", counts=counts)
    assert await rollups_of(database, tenant) == before


async def test_a_rebuild_puts_days_into_the_time_zone_that_is_configured_now(
    settings: DashboardSettings, database: Database
) -> None:
    tenant = new_tenant()
    counts = PostgresCountStore(database, TimeZones())
    night = datetime(2026, 3, 14, 23, 30, tzinfo=UTC)
    await count_event(report_created(tenant=tenant, received_at=night), consumer="tests", counts=counts)
    zones = TimeZones(tenants={tenant: "Europe/Vienna"})
    await rebuilt(settings.model_copy(update={"time_zones": zones}), tenant)
    rows = (await rollups_of(database, tenant))["case_rollups"]
    assert {row[0]["start"] for row in rows if row[0]["grain"] == "hour"} == {"2026-03-15T00:00:00"}


async def test_a_rebuild_that_was_overtaken_says_so_and_changes_nothing(
    models: PostgresRebuildStore, js: JetStreamContext, database: Database
) -> None:
    tenant = new_tenant()
    counts = PostgresCountStore(database, TimeZones())
    await count_event(report_created(tenant=tenant), consumer="tests", counts=counts)
    before = await rollups_of(database, tenant)
    abandoned = await models.begin(tenant)
    second = await models.begin(tenant)
    with pytest.raises(Overtaken):
        await models.replay(tenant, abandoned, [])
    await rebuild(tenant, history=JetStreamHistory(js), models=models, tell=lambda _: None)
    with pytest.raises(Overtaken):
        await models.finish(tenant, second, reports_since=LATER, failures_since=LATER)
    assert await rollups_of(database, tenant) == before


async def test_an_abandoned_rebuild_does_not_keep_events_from_being_counted(
    models: PostgresRebuildStore, database: Database
) -> None:
    tenant = new_tenant()
    counts = PostgresCountStore(database, TimeZones())
    await models.begin(tenant)
    created = report_created(tenant=tenant, received_at=RECEIVED_AT + timedelta(days=1))
    for event in (created, report_reviewed(created)):
        await count_event(event, consumer="tests", counts=counts)
    assert await total_cases(PostgresFigureStore(database, TimeZones()), tenant) == (1, 0)
