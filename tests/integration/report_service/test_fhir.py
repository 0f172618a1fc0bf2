"""A report as FHIR over HTTP: that it is valid, what a review makes of it, and who took it."""

import httpx
import pytest

from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Verdict
from radrelay_shared.objects import S3ObjectStore
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.report import Report
from report_service.domain.review import Judgement, Label
from report_service.reviewing import review_report
from support.fhir import resources_of
from support.kept_reports import ask_for, persisted
from support.tokens import TestIssuer

AGREE = Judgement(Verdict.AGREE, Label.FINDING_PRESENT, "Seen.", None)
DISAGREE = Judgement(Verdict.DISAGREE, Label.FINDING_ABSENT, None, None)
UNSURE = Judgement(Verdict.UNSURE, Label.NOT_ASSESSABLE, None, None)


@pytest.fixture
async def report(database: Database, objects: S3ObjectStore) -> Report:
    return await persisted(database, objects, None)


async def review(database: Database, report: Report, *judgements: Judgement) -> None:
    store, scope = PostgresReportStore(database), Scope(report.tenant, "dr-a", "clinician")
    for judgement in judgements:
        await review_report(report.report_id, judgement, is_current=lambda _: True, scope=scope, store=store)


async def test_a_report_is_downloaded_as_a_valid_bundle_of_release_4(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report
) -> None:
    response = await ask_for(client, issuer, report, "fhir")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/fhir+json; fhirVersion=4.0"
    assert response.headers["content-disposition"] == (f'attachment; filename="report-{report.report_id}.fhir.json"')
    assert (response.headers["cache-control"], response.headers["vary"]) == ("private, no-cache", "Authorization")
    found = resources_of(response.content)
    assert found["DiagnosticReport"][0]["id"] == str(report.report_id)
    assert found["Device"][0]["identifier"][0]["value"] == report.model.digest


@pytest.mark.parametrize(
    ("judgements", "status"),
    [
        ((), "partial"),
        ((AGREE,), "final"),
        ((UNSURE,), "partial"),
        ((UNSURE, DISAGREE), "final"),
        ((AGREE, DISAGREE), "amended"),
        ((DISAGREE, UNSURE, UNSURE), "amended"),
    ],
)
async def test_what_clinicians_said_decides_how_final_it_is(
    client: httpx.AsyncClient,
    database: Database,
    issuer: TestIssuer,
    report: Report,
    judgements: tuple[Judgement, ...],
    status: str,
) -> None:
    await review(database, report, *judgements)
    found = resources_of((await ask_for(client, issuer, report, "fhir")).content)
    assert found["DiagnosticReport"][0]["status"] == status
    assert len(found["Observation"]) == 1 + bool(judgements)


async def test_the_reviews_of_other_reports_make_this_one_no_more_final(
    client: httpx.AsyncClient, database: Database, objects: S3ObjectStore, issuer: TestIssuer, report: Report
) -> None:
    other = await persisted(database, objects, None, tenant=report.tenant)
    await review(database, other, AGREE, UNSURE)
    await review(database, report, UNSURE, UNSURE)
    found = resources_of((await ask_for(client, issuer, report, "fhir")).content)
    assert found["DiagnosticReport"][0]["status"] == "partial"


async def test_what_the_reader_holds_is_not_sent_again_until_it_is_reviewed(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer, report: Report
) -> None:
    first = await ask_for(client, issuer, report, "fhir")
    held = {"If-None-Match": first.headers["etag"]}
    again = await ask_for(client, issuer, report, "fhir", **held)
    assert (again.status_code, again.content) == (304, b"")
    assert (await ask_for(client, issuer, report, "fhir")).content == first.content, "the tag is a strong one"
    await review(database, report, AGREE)
    assert (await ask_for(client, issuer, report, "fhir", **held)).status_code == 200


async def test_who_takes_it_is_recorded_also_where_they_hold_it(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer, report: Report
) -> None:
    await ask_for(client, issuer, report, "fhir")
    await ask_for(client, issuer, report, "fhir", **{"If-None-Match": "*"})
    async with PostgresReportStore(database).transaction(Scope.service(report.tenant)) as unit:
        facts = [record.fact for record in await unit.audit_records(0, 10)]
    assert [(fact.actor, fact.action, fact.report_id) for fact in facts] == [
        ("dr-a", "fhir.read", report.report_id)
    ] * 2
