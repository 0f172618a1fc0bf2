"""The visual report over HTTP: which form it has, what it holds, who read it."""

from datetime import UTC, datetime

import httpx
import pytest

from radrelay_shared.database import Database, Scope
from radrelay_shared.objects import S3ObjectStore
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.report import Report
from report_service.handlers import persist_report
from support.events import inference_completed
from support.tenants import new_tenant
from support.tokens import TestIssuer
from support.visual import head_dicom


@pytest.fixture(scope="module")
async def report(database: Database, objects: S3ObjectStore) -> Report:
    result = inference_completed(tenant=new_tenant())
    _, report = await persist_report(result, reports=PostgresReportStore(database), now=lambda: datetime.now(UTC))
    await objects.put(report.source_key, head_dicom(), content_type="application/dicom")
    return report


async def ask(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, accept: str, **headers: str
) -> httpx.Response:
    headers |= issuer.bearer(report.tenant, "dr-a") | {"Accept": accept}
    return await client.get(f"/v1/reports/{report.report_id}/document", headers=headers)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        *(("*/*", "html"), ("text/html,application/xhtml+xml,*/*;q=0.8", "html"), ("text/*", "html")),
        *(("application/pdf", "pdf"), ("text/html;q=0.5, application/pdf", "pdf"), ("application/*", "pdf")),
    ],
)
async def test_the_caller_says_which_form_is_wanted(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, accept: str, kind: str
) -> None:
    response = await ask(client, issuer, report, accept)
    assert response.status_code == 200
    assert response.headers["content-type"].partition(";")[0] == {"html": "text/html", "pdf": "application/pdf"}[kind]
    assert response.content.startswith({"html": b"<!DOCTYPE html>", "pdf": b"%PDF-"}[kind])
    assert response.headers["content-disposition"] == f'inline; filename="report-{report.report_id}.{kind}"'
    assert response.headers["vary"] == "Authorization, Accept"
    assert response.headers["content-security-policy"] == "frame-ancestors 'none'"


@pytest.mark.parametrize("accept", ["application/json", "text/html;q=0", "nonsense"])
async def test_a_form_that_there_is_not_is_a_problem(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, accept: str
) -> None:
    response = await ask(client, issuer, report, accept)
    assert (response.status_code, response.json()["code"]) == (406, "not_acceptable")


async def test_the_page_shows_this_report_with_its_pictures(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report
) -> None:
    page = (await ask(client, issuer, report, "text/html")).text
    shown = (str(report.report_id), report.model.digest, "untrained", "84.0%", "Nobody has reviewed", report.notice)
    assert [text for text in shown if text not in page] == []
    assert page.count('<img src="data:image/png;base64,') == 2


@pytest.mark.parametrize("accept", ["text/html", "application/pdf"])
async def test_a_document_that_the_reader_holds_is_not_sent_again(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, accept: str
) -> None:
    first = await ask(client, issuer, report, accept)
    again = await ask(client, issuer, report, accept, **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await ask(client, issuer, report, accept)).content == first.content, "the tag is a strong one"


async def test_both_forms_have_tags_of_their_own(client: httpx.AsyncClient, issuer: TestIssuer, report: Report) -> None:
    tags = {(await ask(client, issuer, report, accept)).headers["etag"] for accept in ("text/html", "application/pdf")}
    assert len(tags) == 2


@pytest.mark.parametrize("accept", ["text/html", "application/pdf"])
async def test_a_report_whose_image_is_gone_can_still_be_read(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer, accept: str
) -> None:
    result = inference_completed(tenant=new_tenant())
    _, report = await persist_report(result, reports=PostgresReportStore(database), now=lambda: datetime.now(UTC))
    response = await ask(client, issuer, report, accept)
    assert response.status_code == 200
    if accept == "text/html":
        assert response.text.count("The object store no longer has the image") == 2


async def test_who_reads_a_document_is_recorded_once(
    client: httpx.AsyncClient, database: Database, objects: S3ObjectStore, issuer: TestIssuer
) -> None:
    result = inference_completed(tenant=new_tenant())
    _, report = await persist_report(result, reports=PostgresReportStore(database), now=lambda: datetime.now(UTC))
    await objects.put(report.source_key, head_dicom(), content_type="application/dicom")
    await ask(client, issuer, report, "text/html")
    async with PostgresReportStore(database).transaction(Scope.service(report.tenant)) as unit:
        facts = [record.fact for record in await unit.audit_records(0, 10)]
    assert [(fact.actor, fact.action, fact.report_id) for fact in facts] == [
        ("dr-a", "document.read", report.report_id)
    ]
