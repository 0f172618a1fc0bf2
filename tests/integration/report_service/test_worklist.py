"""The worklist, its counts, studies and histories over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update

from radrelay_shared.database import Database, Scope
from report_service.adapters.postgres import PostgresReportStore
from report_service.adapters.tables import ReportRow
from report_service.domain.report import Report, ReviewState
from report_service.handlers import persist_report
from support.events import RECEIVED_AT, UNTRAINED, dicom_uid, inference_completed
from support.tenants import new_tenant
from support.tokens import TestIssuer

OTHER_MODEL = UNTRAINED.model_copy(update={"digest": "sha256:" + "7f" * 32})


@pytest.fixture
def tenant() -> str:
    return new_tenant()


async def persist(database: Database, **changes: Any) -> Report:
    store = PostgresReportStore(database)
    _, report = await persist_report(inference_completed(**changes), reports=store, now=lambda: datetime.now(UTC))
    return report


async def review(database: Database, report: Report, state: ReviewState) -> None:
    async with database.transaction(Scope.service(report.tenant)) as session:
        reviewed = update(ReportRow).where(ReportRow.report_id == report.report_id)
        await session.execute(reviewed.values(review_state=state))


async def ask(client: httpx.AsyncClient, path: str, headers: dict[str, str], **parameters: Any) -> Any:
    response = await client.get(path, params=parameters, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


async def test_every_filter_lets_through_what_it_says_in_the_query_and_in_the_body(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer, tenant: str
) -> None:
    wanted = await persist(
        database,
        tenant=tenant,
        modality="MG",
        finding="mass",
        positive=False,
        urgency="stat",
        model=OTHER_MODEL,
        received_at=RECEIVED_AT + timedelta(hours=1),
    )
    await review(database, wanted, ReviewState.DISAGREE)
    other = await persist(database, tenant=tenant)
    headers = issuer.bearer(tenant, "dr-a")
    filters = {
        "batch_id": str(wanted.batch_id),
        "urgency": "stat",
        "review_state": "disagree",
        "finding": "mass",
        "positive": False,
        "modality": "MG",
        "model_digest": OTHER_MODEL.digest,
        "study_instance_uid": wanted.study_instance_uid,
        "series_instance_uid": wanted.series_instance_uid,
        "received_from": wanted.received_at.isoformat(),
    }
    for name, value in [*filters.items(), ("limit", 1)]:
        (found,) = (await ask(client, "/v1/reports", headers, **{name: value}))["reports"]
        assert found["report_id"] == str(wanted.report_id), name
    before = {"received_before": wanted.received_at.isoformat()}
    (found,) = (await ask(client, "/v1/reports", headers, **before))["reports"]
    assert found["report_id"] == str(other.report_id)
    response = await client.post("/v1/worklist/search", json=filters, headers=headers)
    assert [report["report_id"] for report in response.json()["reports"]] == [str(wanted.report_id)]
    assert (await client.post("/v1/worklist/search", json=filters | before, headers=headers)).json()["reports"] == []


async def test_the_search_pages_by_cursor(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer, tenant: str
) -> None:
    made = [await persist(database, tenant=tenant, modality="MR") for _ in range(3)]
    headers, asked, seen = issuer.bearer(tenant, "dr-a"), {"modality": "MR", "limit": 2}, []
    for _ in range(2):
        page = (await client.post("/v1/worklist/search", json=asked, headers=headers)).json()
        seen += [report["report_id"] for report in page["reports"]]
        asked = asked | {"cursor": page["next_cursor"]}
    assert page["next_cursor"] is None
    assert sorted(seen) == sorted(str(report.report_id) for report in made)


@pytest.mark.parametrize(
    "parameters",
    [
        {"modality": "C\0T"},
        {"finding": "\0"},
        {"study_instance_uid": "1.a"},
        {"series_instance_uid": "1.a"},
        {"model_digest": "md5:0"},
        {"received_from": "2026-03-14T09:30:00"},
        {"review_state": "done"},
        {"patient_id": "PAT-1"},
    ],
)
async def test_a_filter_that_cannot_be_is_refused(
    client: httpx.AsyncClient, issuer: TestIssuer, tenant: str, parameters: dict[str, str]
) -> None:
    for path in ("/v1/reports", "/v1/worklist/counts"):
        response = await client.get(path, params=parameters, headers=issuer.bearer(tenant, "dr-a"))
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(("moment", "number"), [("0001-01-01T00:00:00+14:00", 1), ("9999-12-31T23:59:59-14:00", 0)])
async def test_moments_at_the_ends_of_the_calendar_are_moments(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer, tenant: str, moment: str, number: int
) -> None:
    await persist(database, tenant=tenant)
    page = await ask(client, "/v1/reports", issuer.bearer(tenant, "dr-a"), received_from=moment)
    assert len(page["reports"]) == number


async def test_counts_are_by_urgency_and_review_state_of_what_the_filters_let_through(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer, tenant: str
) -> None:
    for urgency in ("stat", "stat", "routine"):
        await persist(database, tenant=tenant, urgency=urgency)
    reviewed = await persist(database, tenant=tenant, urgency="stat", modality="MR")
    await review(database, reviewed, ReviewState.AGREE)
    await persist(database, tenant=tenant, owner_id="dr-b")
    headers = issuer.bearer(tenant, "dr-a")

    async def counted(**filters: Any) -> list[tuple[Any, ...]]:
        counts = (await ask(client, "/v1/worklist/counts", headers, **filters))["counts"]
        assert not any(count["is_more"] for count in counts)
        return [(count["urgency"], count["review_state"], count["reports"]) for count in counts]

    assert await counted() == [("stat", "unreviewed", 2), ("stat", "agree", 1), ("routine", "unreviewed", 1)]
    assert await counted(modality="MR") == [("stat", "agree", 1)]
    assert await counted(batch_id=str(reviewed.batch_id)) == [("stat", "agree", 1)]
    assert await counted(study_instance_uid=reviewed.study_instance_uid) == [("stat", "agree", 1)]
    assert await counted(series_instance_uid=reviewed.series_instance_uid) == [("stat", "agree", 1)]
    assert await counted(review_state="agree", urgency="routine") == []


async def test_the_reports_of_one_series_of_a_study_are_listed_page_by_page(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer, tenant: str
) -> None:
    study = {"tenant": tenant, "study_instance_uid": dicom_uid()}
    first, second = dicom_uid(), dicom_uid()
    wanted = [await persist(database, **study, series_instance_uid=first) for _ in range(3)]
    await persist(database, **study, series_instance_uid=second)
    # Damaged files may give the same series to two studies.
    elsewhere = await persist(database, tenant=tenant, series_instance_uid=first)
    await persist(database, **study, series_instance_uid=first, owner_id="dr-b")
    headers, of_series = issuer.bearer(tenant, "dr-a"), {"series_instance_uid": first}

    async def listed(**filters: Any) -> set[str]:
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = await ask(client, "/v1/reports", headers, limit=2, **filters, **cursor)
            found += [report["report_id"] for report in page["reports"]]
            if page["next_cursor"] is None:
                assert len(found) == len(set(found))
                return set(found)
            cursor = {"cursor": page["next_cursor"]}

    mine = {str(report.report_id) for report in wanted}
    assert await listed(**of_series, study_instance_uid=study["study_instance_uid"]) == mine
    assert await listed(**of_series) == {*mine, str(elsewhere.report_id)}
    assert await listed(**of_series, study_instance_uid=dicom_uid()) == set()


async def test_a_study_is_what_its_images_come_to(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer, tenant: str
) -> None:
    study = {"tenant": tenant, "study_instance_uid": dicom_uid()}
    first, second = dicom_uid(), dicom_uid()
    negative = {"positive": False, "urgency": "routine"}
    await persist(database, **study, series_instance_uid=first, probability=0.2, **negative)
    image = await persist(database, **study, series_instance_uid=first, probability=0.1, **negative)
    await persist(
        database,
        **study,
        series_instance_uid=first,
        instance_id=image.instance_id,
        model=OTHER_MODEL,
        urgency="routine",
    )
    urgent = await persist(database, **study, series_instance_uid=second, modality="MR", urgency="stat")
    await persist(database, tenant=tenant)
    headers = issuer.bearer(tenant, "dr-a")
    path = f"/v1/studies/{study['study_instance_uid']}"
    found = await ask(client, path, headers)
    tally = found["tally"]
    assert (tally["images"], tally["positive_images"], tally["reports"], tally["urgency"]) == (3, 2, 4, "stat")
    by_uid = {series["series_instance_uid"]: series for series in found["series"]}
    assert {uid: (each["tally"]["images"], each["modalities"]) for uid, each in by_uid.items()} == {
        first: (2, ["CT"]),
        second: (1, ["MR"]),
    }
    assert found["key_images"][0]["report_id"] == str(urgent.report_id)
    assert [report["positive"] for report in found["key_images"]] == [True, True, False, False]
    assert "not for clinical use" in found["notice"].lower()
    of_series = await ask(client, f"{path}/series/{first}", headers)
    assert (of_series["tally"]["images"], of_series["tally"]["urgency"]) == (2, "routine")
    assert len(of_series["key_images"]) == 3
    for missing, code in ((f"/v1/studies/{dicom_uid()}", "study"), (f"{path}/series/{dicom_uid()}", "series")):
        response = await client.get(missing, headers=headers)
        assert (response.status_code, response.json()["code"]) == (404, f"{code}_not_found")


async def test_an_administrator_sees_a_study_of_two_owners_as_one(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer, tenant: str
) -> None:
    study = {"tenant": tenant, "study_instance_uid": dicom_uid(), "series_instance_uid": dicom_uid()}
    for owner_id in ("dr-a", "dr-b"):
        await persist(database, **study, owner_id=owner_id)
    path = f"/v1/studies/{study['study_instance_uid']}"
    assert (await ask(client, path, issuer.bearer(tenant, "dr-a")))["tally"]["images"] == 1
    found = await ask(client, path, issuer.bearer(tenant, "boss", ("tenant_admin",)))
    assert (found["tally"]["images"], len(found["series"])) == (2, 1)


async def test_the_history_of_a_study_says_what_each_batch_brought_the_newest_first(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer, tenant: str
) -> None:
    study = {"tenant": tenant, "study_instance_uid": dicom_uid()}
    batches = [uuid4() for _ in range(3)]
    for day, batch_id in enumerate(batches):
        for _ in range(day + 1):
            await persist(database, **study, batch_id=batch_id, received_at=RECEIVED_AT + timedelta(days=day))
    path = f"/v1/studies/{study['study_instance_uid']}/history"
    found = await ask(client, path, issuer.bearer(tenant, "dr-a"))
    assert [entry["batch_id"] for entry in found["entries"]] == [str(batch_id) for batch_id in reversed(batches)]
    assert [entry["tally"]["images"] for entry in found["entries"]] == [3, 2, 1]
    assert found["is_cut"] is False
