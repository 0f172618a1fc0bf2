"""One suite for the store in memory and the one on PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Urgency
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.report import Report, report_from_result
from report_service.domain.worklist import Position, WorklistQuery
from report_service.handlers import Persisted, ReportStore, list_reports, persist_report
from support.events import RECEIVED_AT, inference_completed
from support.report_store import InMemoryReportStore, KeptReads
from support.tenants import new_tenant

NOW = datetime(2026, 3, 14, 9, 31, tzinfo=UTC)


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest, database: Database) -> ReportStore:
    return InMemoryReportStore() if request.param == "memory" else PostgresReportStore(database)


async def persist(store: ReportStore, **changes: Any) -> Report:
    _, report = await persist_report(inference_completed(**changes), reports=store, now=lambda: NOW)
    return report


async def everything(store: ReportStore, scope: Scope, **query: Any) -> list[Report]:
    async with store.transaction(scope) as unit:
        return await unit.search(WorklistQuery(limit=1000, **query))


async def test_what_is_kept_is_what_is_found(store: ReportStore) -> None:
    tenant = new_tenant()
    report = await persist(store, tenant=tenant, probability=0.123456789012345678, body_part=None)
    async with store.transaction(Scope(tenant, "dr-a", "clinician")) as unit:
        assert await unit.find(report.report_id) == report
        assert await unit.search(WorklistQuery(limit=10)) == [report]


async def test_a_unit_that_fails_leaves_nothing(store: ReportStore) -> None:
    tenant = new_tenant()
    event = inference_completed(tenant=tenant)
    report = report_from_result(tenant, event.data, created_at=NOW)

    async def fail_after_writing() -> None:
        async with store.transaction(Scope.service(tenant)) as unit:
            assert await unit.record_once(event)
            assert await unit.add(report)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await fail_after_writing()
    assert await everything(store, Scope.service(tenant)) == []
    outcome, _ = await persist_report(event, reports=store, now=lambda: NOW)
    assert outcome is Persisted.CREATED


async def test_a_clinician_finds_their_own_and_an_administrator_the_tenants(store: ReportStore) -> None:
    tenant, other = new_tenant(), new_tenant()
    own = await persist(store, tenant=tenant, owner_id="dr-a")
    colleagues = await persist(store, tenant=tenant, owner_id="dr-b")
    await persist(store, tenant=other, owner_id="dr-a")
    assert await everything(store, Scope(tenant, "dr-a", "clinician")) == [own]
    found = await everything(store, Scope(tenant, "boss", "tenant_admin"))
    assert {report.report_id for report in found} == {own.report_id, colleagues.report_id}
    async with store.transaction(Scope(tenant, "dr-a", "clinician")) as unit:
        assert await unit.find(colleagues.report_id) is None


async def test_the_order_is_urgency_then_age_then_identifier(store: ReportStore) -> None:
    tenant = new_tenant()
    for minute in (3, 1, 1, 2):
        for urgency in reversed(Urgency):
            received_at = RECEIVED_AT + timedelta(minutes=minute)
            await persist(store, tenant=tenant, urgency=urgency, received_at=received_at)
    found = await everything(store, Scope.service(tenant))
    positions = [Position.of(report) for report in found]
    assert positions == sorted(positions, key=lambda p: (list(Urgency).index(p.urgency), p.received_at, p.report_id))
    for index, position in enumerate(positions):
        assert await everything(store, Scope.service(tenant), after=position) == found[index + 1 :]


async def test_filters_narrow_the_list(store: ReportStore) -> None:
    tenant = new_tenant()
    stat = await persist(store, tenant=tenant, urgency="stat")
    routine = await persist(store, tenant=tenant, urgency="routine")
    scope = Scope.service(tenant)
    assert await everything(store, scope, urgency=Urgency.STAT) == [stat]
    assert await everything(store, scope, batch_id=routine.batch_id) == [routine]
    assert await everything(store, scope, batch_id=routine.batch_id, urgency=Urgency.STAT) == []


async def test_beyond_the_urgency_that_is_asked_for_there_is_nothing(store: ReportStore) -> None:
    tenant = new_tenant()
    reports = {urgency: await persist(store, tenant=tenant, urgency=urgency) for urgency in Urgency}
    after = Position.of(reports[Urgency.URGENT])
    assert await everything(store, Scope.service(tenant), after=after, urgency=Urgency.STAT) == []
    assert await everything(store, Scope.service(tenant), after=after, urgency=Urgency.ROUTINE) == [
        reports[Urgency.ROUTINE]
    ]


async def test_every_report_is_paged_exactly_once_while_new_ones_arrive(store: ReportStore) -> None:
    tenant = new_tenant()
    scope = Scope(tenant, "dr-a", "clinician")

    async def arrive(count: int) -> set[Any]:
        return {
            (
                await persist(
                    store,
                    tenant=tenant,
                    urgency=list(Urgency)[index % 3],
                    received_at=RECEIVED_AT + timedelta(seconds=index % 5),
                )
            ).report_id
            for index in range(count)
        }

    before = await arrive(40)
    later: set[Any] = set()
    paged, after = [], None
    while True:
        page = await list_reports(WorklistQuery(limit=7, after=after), scope=scope, reports=store, reads=KeptReads())
        paged += [report.report_id for report in page.reports]
        if page.next_after is None:
            break
        after = page.next_after
        if len(later) < 30:
            later |= await arrive(5)
    assert len(paged) == len(set(paged))
    assert before <= set(paged) <= before | later
    assert later


async def test_the_same_image_reported_at_the_same_time_by_many_makes_one_report(store: ReportStore) -> None:
    tenant = new_tenant()
    event = inference_completed(tenant=tenant)
    same = event.data.model_dump(exclude={"model"})
    events = [event] * 4 + [inference_completed(tenant=tenant, **same) for _ in range(4)]
    outcomes = await asyncio.gather(*(persist_report(each, reports=store, now=lambda: NOW) for each in events))
    assert [outcome for outcome, _ in outcomes].count(Persisted.CREATED) == 1
    assert len(await everything(store, Scope.service(tenant))) == 1
