"""The read model equals counting the events, whatever the order and however often each comes."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dashboard_service.adapters.postgres import PostgresCountStore
from dashboard_service.domain.summary import DayCount, Summary, SummaryScope
from dashboard_service.handlers import count_failure, count_report, get_summary
from radrelay_shared.auth import Principal, Role
from radrelay_shared.database import Database
from radrelay_shared.events import Event, InferenceFailed, ReportCreated, Urgency
from support.events import RECEIVED_AT, inference_failed, report_created
from support.tenants import new_tenant

OWNERS = ("dr-a", "dr-b")


@pytest.fixture(scope="session")
def counts(database: Database) -> PostgresCountStore:
    return PostgresCountStore(database)


async def count(event: Event[Any], counts: PostgresCountStore) -> bool:
    if isinstance(event.data, ReportCreated):
        return await count_report(event, consumer="reports", counts=counts)
    return await count_failure(event, consumer="failures", counts=counts)


async def summary_of(tenant: str, counts: PostgresCountStore, owner: str | None = None) -> Summary:
    role, scope = (Role.TENANT_ADMIN, SummaryScope.TENANT) if owner is None else (Role.CLINICIAN, SummaryScope.OWN)
    principal = Principal(tenant, owner or "boss", frozenset({role}))
    return await get_summary(scope, principal=principal, counts=counts)


def expect(summary: Summary, events: Sequence[Event[Any]]) -> None:
    """Compare a summary with counting the events one by one."""
    reports: list[ReportCreated] = [event.data for event in events if isinstance(event.data, ReportCreated)]
    positive = [report for report in reports if report.positive]
    days = {report.received_at.astimezone(UTC).date() for report in reports}
    assert summary.total_cases == len(reports)
    assert summary.positive_cases == len(positive)
    assert summary.failed_cases == sum(isinstance(event.data, InferenceFailed) for event in events)
    assert summary.by_urgency == {urgency: sum(r.urgency == urgency for r in reports) for urgency in Urgency}
    assert summary.by_day == tuple(
        DayCount(
            day,
            sum(report.received_at.astimezone(UTC).date() == day for report in reports),
            sum(report.received_at.astimezone(UTC).date() == day for report in positive),
        )
        for day in sorted(days)
    )
    if not reports:
        assert (summary.positivity_rate, summary.average_confidence) == (None, None)
        return
    assert summary.positivity_rate == len(positive) / len(reports)
    exact = sum(Fraction(Decimal(repr(report.confidence))) for report in reports) / len(reports)
    assert summary.average_confidence == pytest.approx(float(exact), rel=1e-15)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[int]]:
    """What happened to some images, and an order of deliveries in which each comes at least once."""
    facts = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "failed": st.booleans(),
                    "owner_id": st.sampled_from(OWNERS),
                    "received_at": st.integers(0, 72).map(lambda hours: RECEIVED_AT + timedelta(hours=hours)),
                    "modality": st.sampled_from(["CT", "DX"]),
                    "probability": st.floats(0, 1),
                    "positive": st.booleans(),
                    "urgency": st.sampled_from(Urgency),
                }
            ),
            max_size=12,
        )
    )
    repeats = draw(st.lists(st.sampled_from(range(len(facts))), max_size=12)) if facts else []
    return facts, draw(st.permutations([*range(len(facts)), *repeats]))


def event_of(tenant: str, fact: dict[str, Any]) -> Event[Any]:
    changes = {name: value for name, value in fact.items() if name != "failed"}
    if fact["failed"]:
        return inference_failed(tenant=tenant, owner_id=fact["owner_id"], received_at=fact["received_at"])
    return report_created(tenant=tenant, **changes)


# The fixture is of the session: examples share the database and nothing in it, for each has its own tenant.
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deliveries())
async def test_the_figures_equal_counting(
    counts: PostgresCountStore, sequence: tuple[list[dict[str, Any]], list[int]]
) -> None:
    tenant = new_tenant()
    facts, order = sequence
    events = [event_of(tenant, fact) for fact in facts]
    for start in range(0, len(order), 5):
        await asyncio.gather(*(count(events[index], counts) for index in order[start : start + 5]))
    expect(await summary_of(tenant, counts), events)
    for owner in OWNERS:
        expect(await summary_of(tenant, counts, owner), [event for event in events if event.data.owner_id == owner])


async def test_one_event_counted_by_many_at_once_counts_once(counts: PostgresCountStore) -> None:
    tenant = new_tenant()
    events: list[Event[Any]] = [report_created(tenant=tenant), inference_failed(tenant=tenant)]
    outcomes = Counter(await asyncio.gather(*(count(event, counts) for event in events * 8)))
    assert outcomes == {True: 2, False: 14}
    expect(await summary_of(tenant, counts), events)


async def test_sums_do_not_depend_on_the_order(counts: PostgresCountStore) -> None:
    confidences = [0.1, 1e-17, 0.7, 1 / 3, 0.2, 1e-300, 0.9999999999999999]
    averages = set()
    for ordered in (confidences, confidences[::-1], sorted(confidences)):
        tenant = new_tenant()
        for confidence in ordered:
            await count(report_created(tenant=tenant, positive=True, probability=confidence), counts)
        averages.add((await summary_of(tenant, counts)).average_confidence)
    assert len(averages) == 1


async def test_a_day_is_one_of_utc(counts: PostgresCountStore) -> None:
    tenant = new_tenant()
    moments = ["2026-03-14T23:59:59+00:00", "2026-03-15T01:30:00+02:00", "2026-03-14T20:00:00-05:00"]
    events = [report_created(tenant=tenant, received_at=datetime.fromisoformat(moment)) for moment in moments]
    for event in events:
        await count(event, counts)
    summary = await summary_of(tenant, counts)
    assert [(each.day.isoformat(), each.cases) for each in summary.by_day] == [("2026-03-14", 2), ("2026-03-15", 1)]


async def test_the_label_of_the_model_stays_with_the_figures(counts: PostgresCountStore) -> None:
    tenant = new_tenant()
    await count(report_created(tenant=tenant), counts)
    assert [(model.label, model.cases) for model in (await summary_of(tenant, counts)).by_model] == [("untrained", 1)]
