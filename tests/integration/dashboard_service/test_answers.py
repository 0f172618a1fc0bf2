"""What the API answers about known cases."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from dashboard_service.adapters.counting import PostgresCountStore
from dashboard_service.handlers.counting import count_event
from dashboard_service.main import create_app
from dashboard_service.settings import DashboardSettings, TimeZones
from radrelay_shared.database import Database
from radrelay_shared.events import Event, Urgency, Verdict
from support.asgi import serving
from support.events import inference_failed, report_created, report_reviewed
from support.tenants import new_tenant
from support.tokens import TestIssuer

ZONE = "Europe/Vienna"
MARCH = {"scope": "tenant", "first": "2026-03-01", "last": "2026-03-31"}
DIGEST = "sha256:" + "5e" * 32


@dataclass(frozen=True)
class Hospital:
    """A tenant's administrator."""

    client: httpx.AsyncClient
    headers: dict[str, str]

    async def get(self, path: str, **parameters: str) -> Any:
        response = await self.client.get(path, params=MARCH | parameters, headers=self.headers)
        assert response.status_code == 200, response.text
        return response.json()


def events_of(tenant: str) -> list[Event[Any]]:
    """Ten reports of dr-a, two of dr-b in the night to the next day, one the month before; reviews; failures."""
    noon = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
    night = datetime(2026, 3, 14, 23, 30, tzinfo=UTC)  # the 15th in Vienna
    first = [
        report_created(
            tenant=tenant,
            received_at=noon,
            created_at=noon + timedelta(seconds=10 * (number + 1)),
            priority=Urgency.STAT,
            positive=number < 4,
            probability=0.95 if number < 4 else 0.05,
            urgency=Urgency.URGENT if number < 4 else Urgency.ROUTINE,
        )
        for number in range(10)
    ]
    second = [report_created(tenant=tenant, owner_id="dr-b", received_at=night, modality="DX") for _ in range(2)]
    before = [report_created(tenant=tenant, received_at=noon - timedelta(days=20))]
    reviews = [
        report_reviewed(first[0]),
        report_reviewed(first[1], verdict=Verdict.DISAGREE),
        report_reviewed(first[9]),
        report_reviewed(first[8], verdict=Verdict.UNSURE),
    ]
    failed = [inference_failed(tenant=tenant, instance_id=uuid4(), received_at=noon) for _ in range(2)]
    return [*first, *second, *before, *reviews, *failed]


@pytest.fixture(scope="module")
async def hospital(settings: DashboardSettings, issuer: TestIssuer, database: Database) -> AsyncIterator[Hospital]:
    tenant = new_tenant()
    zones = TimeZones(tenants={tenant: ZONE})
    counts = PostgresCountStore(database, zones)
    for event in events_of(tenant):
        await count_event(event, consumer="tests", counts=counts)
    async with serving(create_app(settings)) as client:
        yield Hospital(client, issuer.bearer(tenant, "boss", ("tenant_admin",)))


async def test_the_summary_has_the_published_shape(hospital: Hospital) -> None:
    summary = await hospital.get("/v1/summary")
    interval, before = summary.pop("positivity_interval"), summary.pop("before")
    assert summary == {
        "scope": "tenant",
        "period": {"first": "2026-03-01", "last": "2026-03-31"},
        "time_zone": ZONE,
        "total_cases": 12,
        "positive_cases": 6,
        "positivity_rate": 0.5,
        "average_confidence": pytest.approx((10 * 0.95 + 2 * 0.84) / 12),
        "failed_cases": 2,
        "reviewed_cases": 4,
        "by_urgency": {"stat": 0, "urgent": 6, "routine": 6},
        "by_model": [{"digest": DIGEST, "label": "untrained", "cases": 12}],
    }
    assert interval["low"] < 0.5 < interval["high"]
    assert (before["period"], before["total_cases"]) == ({"first": "2026-01-29", "last": "2026-02-28"}, 1)


async def test_a_trend_has_every_day_in_the_tenants_time_zone(hospital: Hospital) -> None:
    trend = await hospital.get("/v1/trends", step="day")
    assert len(trend["points"]) == 31
    found = {point["start"]: point["cases"] for point in trend["points"] if point["cases"]}
    assert found == {"2026-03-14T00:00:00": 10, "2026-03-15T00:00:00": 2}
    assert trend["points"][0]["positivity_rate"] is None


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("hour", {"2026-03-14T13:00:00": 10, "2026-03-15T00:00:00": 2}),
        ("week", {"2026-03-09T00:00:00": 12}),
        ("month", {"2026-03-01T00:00:00": 12}),
    ],
)
async def test_a_trend_goes_by_local_hours_weeks_from_monday_and_months(
    hospital: Hospital, step: str, expected: dict[str, int]
) -> None:
    trend = await hospital.get("/v1/trends", step=step)
    assert {point["start"]: point["cases"] for point in trend["points"] if point["cases"]} == expected


async def test_a_trend_is_of_the_modality_and_model_that_were_asked_for(hospital: Hospital) -> None:
    for parameters, cases in (({"modality": "DX"}, 2), ({"modality": "MG"}, 0), ({"model": DIGEST}, 12)):
        trend = await hospital.get("/v1/trends", step="month", **parameters)
        assert sum(point["cases"] for point in trend["points"]) == cases


async def test_a_trend_of_too_many_points_is_refused(hospital: Hospital) -> None:
    parameters = {"first": "2026-01-01", "last": "2026-03-01", "step": "hour"}
    response = await hospital.client.get("/v1/trends", params=parameters, headers=hospital.headers)
    assert (response.status_code, response.json()["code"]) == (400, "impossible_period")


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("modality", [("CT", None, 10), ("DX", None, 2)]),
        ("model", [(DIGEST, "untrained", 12)]),
        ("urgency", [("routine", None, 6), ("urgent", None, 6)]),
    ],
)
async def test_a_breakdown_has_most_cases_first(hospital: Hospital, by: str, expected: list[Any]) -> None:
    parts = (await hospital.get("/v1/breakdown", by=by))["parts"]
    assert [(part["value"], part["label"], part["counts"]["cases"]) for part in parts] == expected


async def test_clinicians_with_few_cases_are_withheld_and_cannot_be_told_from_the_total(hospital: Hospital) -> None:
    breakdown = await hospital.get("/v1/breakdown", by="clinician")
    assert breakdown["smallest_group"] == 5
    assert breakdown["parts"] == [
        {"value": name, "label": None, "withheld": True, "counts": None, "agreement": None} for name in ("dr-a", "dr-b")
    ]


async def test_nothing_is_withheld_where_that_is_configured(hospital: Hospital, settings: DashboardSettings) -> None:
    async with serving(create_app(settings.model_copy(update={"smallest_group": 0}))) as client:
        parts = (await Hospital(client, hospital.headers).get("/v1/breakdown", by="clinician"))["parts"]
    assert [(part["value"], part["counts"]["cases"], part["agreement"]["reviewed"]) for part in parts] == [
        ("dr-a", 10, 4),
        ("dr-b", 2, 0),
    ]


async def test_clinicians_are_told_apart_in_the_tenants_figures_only(hospital: Hospital) -> None:
    response = await hospital.client.get("/v1/breakdown", params={"by": "clinician"}, headers=hospital.headers)
    assert (response.status_code, response.json()["code"]) == (400, "tenant_scope_needed")


async def test_the_histogram_has_twenty_bins(hospital: Hospital) -> None:
    bins = (await hospital.get("/v1/histogram"))["bins"]
    assert len(bins) == 20
    found = {each["low"]: (each["cases"], each["positive"]) for each in bins if each["cases"]}
    assert found == {0.05: (6, 0), 0.8: (2, 2), 0.95: (4, 4)}


async def test_turnaround_is_given_by_priority_within_the_stated_error(hospital: Hospital) -> None:
    turnaround = await hospital.get("/v1/turnaround")
    parts = {part["priority"]: part for part in turnaround["by_priority"]}
    assert set(parts) == {"stat", "urgent", "routine", "unknown"}
    assert (parts["stat"]["cases"], parts["routine"]["cases"]) == (10, 2)
    assert parts["stat"]["p50_s"] == pytest.approx(50, rel=turnaround["relative_error"])
    assert parts["stat"]["p99_s"] == pytest.approx(90, rel=turnaround["relative_error"])
    assert parts["urgent"]["p50_s"] is None


async def test_failures_are_given_by_reason(hospital: Hospital) -> None:
    assert (await hospital.get("/v1/failures"))["reasons"] == [{"reason": "undecodable_pixels", "failed_cases": 2}]


async def test_agreement_is_split_by_what_the_reports_state(hospital: Hospital) -> None:
    agreement = await hospital.get("/v1/agreement")
    counts = {
        name: tuple(agreement[name][each] for each in ("reviewed", "agreed", "disagreed", "unsure", "rate"))
        for name in ("all", "positive", "negative")
    }
    assert counts == {
        "all": (4, 2, 1, 1, pytest.approx(2 / 3)),
        "positive": (2, 1, 1, 0, 0.5),
        "negative": (2, 1, 0, 1, 1.0),
    }


async def test_the_export_is_csv_by_day(hospital: Hospital) -> None:
    response = await hospital.client.get("/v1/export", params=MARCH, headers=hospital.headers)
    assert response.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(response.text)))
    assert [(line["day"], line["modality"], line["urgency"], line["cases"]) for line in lines] == [
        ("2026-03-14", "CT", "routine", "6"),
        ("2026-03-14", "CT", "urgent", "4"),
        ("2026-03-15", "DX", "urgent", "2"),
    ]
