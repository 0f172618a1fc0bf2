"""The read model equals counting the reports, whatever the order and however often each event comes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from dashboard_service.adapters.counting import PostgresCountStore, PostgresCountUnit
from dashboard_service.adapters.figures import PostgresFigureStore
from dashboard_service.handlers.counting import count_event
from dashboard_service.settings import TimeZones
from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Event, Urgency, Verdict
from support.dashboard import Expected, Image, assert_figures, rollups_of, submitted, total_cases
from support.events import RECEIVED_AT, inference_failed, report_created, report_erased, report_reviewed
from support.tenants import new_tenant

OWNERS = ("dr-a", "dr-b")
ZONE = "America/New_York"
"""Changes to summer time within the hours that are tried."""


@dataclass(frozen=True)
class Stores:
    counts: PostgresCountStore
    figures: PostgresFigureStore

    async def count(self, *events: Event[Any]) -> list[bool]:
        return [await count_event(event, consumer="tests", counts=self.counts) for event in events]


@pytest.fixture(scope="session")
def stores(database: Database) -> Stores:
    zones = TimeZones(default=ZONE)
    return Stores(PostgresCountStore(database, zones), PostgresFigureStore(database, zones))


class Crash(Exception):
    pass


class CrashingStore(PostgresCountStore):
    """A worker that dies after its work and before the commit."""

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[PostgresCountUnit]:
        async with super().transaction(scope) as unit:
            yield unit
            raise Crash


IMAGE = st.fixed_dictionaries(
    {
        "owner_id": st.sampled_from(OWNERS),
        "received_at": st.integers(-30, 40).map(
            lambda half_hours: datetime(2026, 3, 8, 6, 30, tzinfo=UTC) + timedelta(minutes=30 * half_hours)
        ),
        "modality": st.sampled_from(["CT", "DX"]),
        "probability": st.floats(0, 1),
        "positive": st.booleans(),
        "urgency": st.sampled_from(Urgency),
        "priority": st.sampled_from([*Urgency, None]),
        "turnaround": st.floats(0, 1e5),
        "reported": st.booleans(),
        "reviews": st.lists(st.sampled_from(Verdict), max_size=3),
        "erased": st.booleans(),
        "failures": st.lists(st.sampled_from(["undecodable_pixels", "retries_exhausted"]), max_size=2),
    }
)


def history_of(tenant: str, facts: dict[str, Any]) -> tuple[Image, list[Event[Any]]]:
    """What happened to an image in the end, and the events of it in the order in which they happened."""
    common = {name: facts[name] for name in ("owner_id", "received_at")} | {"instance_id": uuid4()}
    image = Image(facts["owner_id"], facts["received_at"])
    failures = [
        inference_failed(tenant=tenant, reason=reason, submission=submission, **common)
        for submission, reason in enumerate(facts["failures"], 1)
    ]
    image.failure = max(failures, key=submitted).data if failures else None
    events: list[Event[Any]] = [*failures]
    if facts["reported"]:
        shown = {name: facts[name] for name in ("modality", "probability", "positive", "urgency", "priority")}
        created_at = facts["received_at"] + timedelta(seconds=facts["turnaround"])
        created = report_created(tenant=tenant, created_at=created_at, **common, **shown)
        image.report, image.erased = created.data, facts["erased"]
        image.verdict = facts["reviews"][-1] if facts["reviews"] else None
        reviews = (
            report_reviewed(created, verdict=verdict, review_version=version)
            for version, verdict in enumerate(facts["reviews"], 1)
        )
        events += [created, *reviews, *([report_erased(created)] if facts["erased"] else [])]
    return image, events


# The fixture is of the session: examples share the database and nothing in it, for each has its own tenant. What fails
# is small already; making it smaller would count for minutes.
@hypothesis_settings(
    max_examples=30,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(IMAGE, max_size=6), st.data())
async def test_the_figures_equal_counting(stores: Stores, facts: list[dict[str, Any]], data: st.DataObject) -> None:
    tenant = new_tenant()
    histories = [history_of(tenant, each) for each in facts]
    events = [event for _, history in histories for event in history]
    crashing = CrashingStore(stores.counts._database, TimeZones(default=ZONE))
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=8)) if events else []
    deliveries = data.draw(st.permutations([*events, *repeats]))
    crashes = data.draw(st.lists(st.sampled_from(range(len(deliveries))), max_size=3)) if deliveries else []

    async def deliver(index: int) -> None:
        if index in crashes:
            with pytest.raises(Crash):
                await count_event(deliveries[index], consumer="tests", counts=crashing)
        await stores.count(deliveries[index])

    for start in range(0, len(deliveries), 4):
        await asyncio.gather(*(deliver(index) for index in range(start, min(start + 4, len(deliveries)))))
    images = [image for image, _ in histories]
    zone = ZoneInfo(ZONE)
    await assert_figures(stores.figures, tenant, None, Expected(zone, images))
    for owner in OWNERS:
        own = [image for image in images if image.owner_id == owner]
        await assert_figures(stores.figures, tenant, owner, Expected(zone, own))


async def test_one_event_counted_by_many_at_once_counts_once(stores: Stores) -> None:
    tenant = new_tenant()
    events: list[Event[Any]] = [report_created(tenant=tenant), inference_failed(tenant=tenant)]
    outcomes = await asyncio.gather(*(stores.count(event) for event in events * 8))
    assert Counter(outcome[0] for outcome in outcomes) == {True: 2, False: 14}
    assert await total_cases(stores.figures, tenant) == (1, 1)


async def test_sums_do_not_depend_on_the_order(stores: Stores, database: Database) -> None:
    confidences = [0.1, 1e-17, 0.7, 1 / 3, 0.2, 1e-300, 0.9999999999999999]
    sums = set()
    for ordered in (confidences, confidences[::-1], sorted(confidences)):
        tenant = new_tenant()
        await stores.count(*(report_created(tenant=tenant, positive=True, probability=each) for each in ordered))
        rows = (await rollups_of(database, tenant))["case_rollups"]
        sums.add(str(rows[0][0]["confidence_sum"]))
    assert len(sums) == 1


async def test_a_report_after_a_retry_takes_the_failure_back(stores: Stores) -> None:
    tenant, instance_id = new_tenant(), uuid4()
    failed = inference_failed(tenant=tenant, instance_id=instance_id)
    created = report_created(tenant=tenant, instance_id=instance_id)
    await stores.count(failed)
    assert await total_cases(stores.figures, tenant) == (0, 1)
    await stores.count(created)
    assert await total_cases(stores.figures, tenant) == (1, 0)
    await stores.count(report_erased(created))
    assert await total_cases(stores.figures, tenant) == (0, 0)


async def test_reports_of_two_models_on_one_image_are_two_cases(stores: Stores) -> None:
    tenant, instance_id = new_tenant(), uuid4()
    first, second = (report_created(tenant=tenant, instance_id=instance_id, report_id=uuid4()) for _ in range(2))
    await stores.count(first, second)
    assert await total_cases(stores.figures, tenant) == (2, 0)
    await stores.count(report_erased(first))
    assert await total_cases(stores.figures, tenant) == (1, 0)


@pytest.mark.parametrize("erased_first", [False, True])
async def test_an_image_that_is_sent_again_after_its_erasure_and_fails_has_failed(
    stores: Stores, *, erased_first: bool
) -> None:
    tenant = new_tenant()
    before = inference_failed(tenant=tenant, submission=2)
    created = report_created(tenant=tenant, instance_id=before.data.instance_id)
    erased = report_erased(created)
    again = inference_failed(
        tenant=tenant,
        instance_id=before.data.instance_id,
        received_at=erased.data.erased_at + timedelta(days=1),
        failed_at=erased.data.erased_at + timedelta(days=2),
    )
    await stores.count(before, *((erased, again) if erased_first else (again, erased)), created)
    assert await total_cases(stores.figures, tenant, last=date(2026, 12, 31)) == (0, 1)


@pytest.mark.parametrize("erased_first", [False, True])
async def test_erasure_leaves_nothing_but_fingerprints_that_late_repeats_are_known_by(
    stores: Stores, database: Database, *, erased_first: bool
) -> None:
    tenant, instance_id = new_tenant(), uuid4()
    created = report_created(tenant=tenant, instance_id=instance_id, owner_id="dr-unique", modality="ZZ")
    events: list[Event[Any]] = [
        inference_failed(tenant=tenant, instance_id=instance_id, owner_id="dr-unique"),
        created,
        report_reviewed(created),
        report_erased(created),
    ]
    await stores.count(*(reversed(events) if erased_first else events))
    async with database.transaction(Scope.service(tenant)) as session:
        cases = [dict(row) for row in (await session.execute(text("SELECT * FROM dashboard.cases"))).mappings()]
        failures = (await session.execute(text("SELECT count(*) FROM dashboard.failures"))).scalar_one()
        inbox = " ".join(await session.scalars(text("SELECT event_id FROM dashboard.inbox")))
    assert len(cases) == 1
    left = {name: value for name, value in cases[0].items() if value is not None}
    assert set(left) == {"tenant", "generation", "report", "image", "review_version", "erased", "erased_at"}
    known: set[UUID] = {created.data.report_id, instance_id}
    assert not known & {left["report"], left["image"]}
    assert not any(str(each) in inbox for each in known)
    assert failures == 0
    assert await total_cases(stores.figures, tenant) == (0, 0)


async def test_a_day_is_one_of_the_tenants_time_zone(stores: Stores, database: Database) -> None:
    tenant = new_tenant()
    moments = ["2026-03-15T03:59:59+00:00", "2026-03-15T04:00:00+00:00"]
    await stores.count(
        *(report_created(tenant=tenant, received_at=datetime.fromisoformat(moment)) for moment in moments)
    )
    rows = (await rollups_of(database, tenant))["case_rollups"]
    days = {row[0]["start"][:10] for row in rows if row[0]["grain"] == "day"}
    assert days == {"2026-03-14", "2026-03-15"}


async def test_the_last_failure_of_an_image_gives_the_reason(stores: Stores) -> None:
    tenant = new_tenant()
    first = inference_failed(tenant=tenant, reason="retries_exhausted", received_at=RECEIVED_AT)
    again = inference_failed(
        tenant=tenant, instance_id=first.data.instance_id, reason="undecodable_pixels", submission=2
    )
    for events in ((first, again), (again, first)):
        await stores.count(*events)
        assert await total_cases(stores.figures, tenant) == (0, 1)
    expected = Expected(ZoneInfo(ZONE), [Image("dr-a", RECEIVED_AT, failure=again.data)])
    await assert_figures(stores.figures, tenant, None, expected)
