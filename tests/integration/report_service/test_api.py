from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from radrelay_shared.database import Database
from radrelay_shared.objects import S3ObjectStore
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.report import Report
from report_service.handlers import persist_report
from report_service.main import create_app
from report_service.settings import ReportSettings
from support.asgi import serving
from support.events import inference_completed
from support.tenants import new_tenant
from support.tokens import TestIssuer

PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 100
DICOM = bytes(128) + b"DICM" + b"data set"
NPY = b"\x93NUMPY" + b"map" * 100


@pytest.fixture(scope="module")
async def client(settings: ReportSettings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app(settings)) as opened:
        yield opened


async def persist(database: Database, **changes: Any) -> Report:
    store = PostgresReportStore(database)
    _, report = await persist_report(inference_completed(**changes), reports=store, now=lambda: datetime.now(UTC))
    return report


async def store_renderings(objects: S3ObjectStore, report: Report) -> None:
    await objects.put(report.preview_key, PNG + b"image", content_type="image/png")
    await objects.put(report.overlay_key, PNG + b"overlay", content_type="image/png")
    await objects.put(report.source_key, DICOM, content_type="application/dicom")
    await objects.put(report.cam_key, NPY, content_type="application/octet-stream")


def assert_problem(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code


async def test_a_report_shows_its_result_its_model_and_its_notice(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer
) -> None:
    tenant = new_tenant()
    report = await persist(database, tenant=tenant)
    response = await client.get(f"/v1/reports/{report.report_id}", headers=issuer.bearer(tenant, "dr-a"))
    assert response.status_code == 200
    body = response.json()
    assert body["model"]["label"] == "untrained"
    assert body["model"]["digest"] == report.model.digest
    assert "not for clinical use" in body["notice"].lower()
    assert (body["probability_raw"], body["probability"], body["confidence"]) == (0.91, 0.84, 0.84)
    assert (body["urgency"], body["finding"], body["positive"]) == ("urgent", "intracranial haemorrhage", True)
    assert datetime.fromisoformat(body["created_at"]) == report.created_at
    assert not [name for name in body if name.endswith("_key") or name == "tenant"]


async def test_the_list_pages_by_cursor_and_filters(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer
) -> None:
    tenant = new_tenant()
    reports = [await persist(database, tenant=tenant, urgency=urgency) for urgency in ("routine", "stat", "urgent")]
    headers = issuer.bearer(tenant, "dr-a")
    seen, parameters = [], {"limit": "1"}
    while True:
        page = (await client.get("/v1/reports", params=parameters, headers=headers)).json()
        seen += [report["urgency"] for report in page["reports"]]
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
    assert seen == ["stat", "urgent", "routine"]
    by_batch = await client.get("/v1/reports", params={"batch_id": str(reports[0].batch_id)}, headers=headers)
    assert [report["report_id"] for report in by_batch.json()["reports"]] == [str(reports[0].report_id)]
    by_urgency = await client.get("/v1/reports", params={"urgency": "stat"}, headers=headers)
    assert [report["report_id"] for report in by_urgency.json()["reports"]] == [str(reports[1].report_id)]


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ({"cursor": "nonsense"}, 400, "invalid_cursor"),
        ({"limit": "0"}, 422, "invalid_request"),
        ({"limit": "201"}, 422, "invalid_request"),
        ({"urgency": "soon"}, 422, "invalid_request"),
        ({"batch_id": "5"}, 422, "invalid_request"),
    ],
)
async def test_a_bad_question_is_told_so(
    client: httpx.AsyncClient, issuer: TestIssuer, parameters: dict[str, str], status: int, code: str
) -> None:
    response = await client.get("/v1/reports", params=parameters, headers=issuer.bearer(new_tenant(), "dr-a"))
    assert_problem(response, status, code)


@pytest.mark.parametrize(
    ("rendering", "media_type", "body"),
    [
        ("image", "image/png", PNG + b"image"),
        ("overlay", "image/png", PNG + b"overlay"),
        ("heatmap", "application/octet-stream", NPY),
        ("source", "application/dicom", DICOM),
    ],
)
async def test_a_rendering_comes_from_the_object_store_and_can_be_kept_by_its_reader_only(
    client: httpx.AsyncClient,
    database: Database,
    objects: S3ObjectStore,
    issuer: TestIssuer,
    rendering: str,
    media_type: str,
    body: bytes,
) -> None:
    tenant = new_tenant()
    report = await persist(database, tenant=tenant)
    await store_renderings(objects, report)
    headers = issuer.bearer(tenant, "dr-a")
    address = f"/v1/reports/{report.report_id}/{rendering}"
    response = await client.get(address, headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    assert response.content == body
    assert response.headers["cache-control"] == "private, no-cache"
    etag = response.headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await client.get(address, headers=headers | {"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    changed = await client.get(address, headers=headers | {"If-None-Match": '"other"'})
    assert changed.content == body


@pytest.mark.parametrize("rendering", ["image", "overlay", "heatmap", "source"])
async def test_a_rendering_that_is_gone_is_a_problem(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer, rendering: str
) -> None:
    tenant = new_tenant()
    report = await persist(database, tenant=tenant)
    response = await client.get(f"/v1/reports/{report.report_id}/{rendering}", headers=issuer.bearer(tenant, "dr-a"))
    assert_problem(response, 404, "rendering_not_found")
    assert report.preview_key not in response.text


async def test_an_identifier_that_is_none_is_a_problem(client: httpx.AsyncClient, issuer: TestIssuer) -> None:
    response = await client.get("/v1/reports/5", headers=issuer.bearer(new_tenant(), "dr-a"))
    assert_problem(response, 422, "invalid_request")


async def test_the_service_is_ready_and_says_what_it_checked(client: httpx.AsyncClient, objects: S3ObjectStore) -> None:
    assert (await client.get("/readyz")).json() == {"status": "ready", "checked": ["database", "objects"]}
