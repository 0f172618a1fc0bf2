from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from radrelay_shared.database import Database
from radrelay_shared.objects import S3ObjectStore
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.report import Report
from report_service.handlers import persist_report
from support.events import inference_completed
from support.tenants import new_tenant
from support.tokens import TestIssuer


async def persist(database: Database, **changes: Any) -> Report:
    store = PostgresReportStore(database)
    _, report = await persist_report(inference_completed(**changes), reports=store, now=lambda: datetime.now(UTC))
    return report


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


async def test_an_identifier_that_is_none_is_a_problem(client: httpx.AsyncClient, issuer: TestIssuer) -> None:
    response = await client.get("/v1/reports/5", headers=issuer.bearer(new_tenant(), "dr-a"))
    assert_problem(response, 422, "invalid_request")


async def test_the_service_is_ready_and_says_what_it_checked(client: httpx.AsyncClient, objects: S3ObjectStore) -> None:
    assert (await client.get("/readyz")).json() == {"status": "ready", "checked": ["database", "objects"]}
