"""Who read which report of which image is in the chain before it is answered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from radrelay_shared.audit import AuditFact, Verification
from radrelay_shared.audit.log import GatheredReads
from radrelay_shared.audit.ports import ReadLog
from radrelay_shared.database import Database, Scope
from radrelay_shared.objects import S3ObjectStore
from report_service.adapters.postgres import PostgresReportStore, PostgresReportUnit
from report_service.domain.report import Report
from report_service.domain.worklist import WorklistQuery
from report_service.handlers import get_report, list_reports, persist_report
from support.dicom_files import dicom_file
from support.events import inference_completed
from support.tenants import new_tenant
from support.tokens import TestIssuer

READS = {
    "": "report.read",
    "/image": "image.read",
    "/overlay": "overlay.read",
    "/heatmap": "heatmap.read",
    "/heatmap.npy": "heatmap.read",
    "/frame.npy": "image.read",
    "/fhir": "fhir.read",
}


@pytest.fixture
def reports(database: Database) -> PostgresReportStore:
    return PostgresReportStore(database)


@pytest.fixture
async def report(reports: PostgresReportStore, objects: S3ObjectStore) -> Report:
    _, made = await persist_report(
        inference_completed(tenant=new_tenant()), reports=reports, now=lambda: datetime.now(UTC)
    )
    await objects.put(made.source_key, dicom_file(), content_type="application/dicom")
    return made


async def facts(reports: PostgresReportStore, tenant: str) -> list[AuditFact]:
    verification = Verification([])
    async with reports.transaction(Scope.service(tenant)) as unit:
        records = await unit.audit_records(0, 1000)
    for record in records:
        verification.add(record)
    assert verification.faults == []
    return [record.fact for record in records]


async def test_every_read_is_recorded_with_who_and_which_report_of_which_image(
    client: httpx.AsyncClient, reports: PostgresReportStore, report: Report, issuer: TestIssuer
) -> None:
    owner, admin = issuer.bearer(report.tenant, "dr-a"), issuer.bearer(report.tenant, "boss", ("tenant_admin",))
    for part in READS:
        response = await client.get(f"/v1/reports/{report.report_id}{part}", headers=owner)
        assert response.status_code == 200
    assert (await client.get(f"/v1/reports/{report.report_id}/source", headers=admin)).status_code == 200
    recorded = await facts(reports, report.tenant)
    assert [(fact.actor, fact.action) for fact in recorded] == [
        *(("dr-a", action) for action in READS.values()),
        ("boss", "source.read"),
    ]
    named = {(fact.batch_id, fact.instance_id, fact.report_id, fact.reason) for fact in recorded}
    assert named == {(report.batch_id, report.instance_id, report.report_id, None)}


async def test_a_list_is_one_record_that_names_the_batch_it_was_of(
    client: httpx.AsyncClient, reports: PostgresReportStore, report: Report, issuer: TestIssuer
) -> None:
    headers = issuer.bearer(report.tenant, "dr-a")
    for parameters in ({}, {"batch_id": str(report.batch_id)}):
        assert (await client.get("/v1/reports", params=parameters, headers=headers)).status_code == 200
    recorded = await facts(reports, report.tenant)
    assert [(fact.action, fact.batch_id) for fact in recorded] == [
        ("reports.listed", None),
        ("reports.listed", report.batch_id),
    ]


async def test_who_looks_again_at_a_picture_that_the_browser_holds_is_recorded_again(
    client: httpx.AsyncClient, reports: PostgresReportStore, report: Report, issuer: TestIssuer
) -> None:
    headers = issuer.bearer(report.tenant, "dr-a") | {"If-None-Match": "*"}
    for part in ("image", "frame.npy"):
        assert (await client.get(f"/v1/reports/{report.report_id}/{part}", headers=headers)).status_code == 304
    assert [fact.action for fact in await facts(reports, report.tenant)] == ["image.read"] * 2


async def test_what_is_somebody_elses_or_gone_is_no_read_but_a_refused_access(
    client: httpx.AsyncClient,
    reports: PostgresReportStore,
    report: Report,
    issuer: TestIssuer,
    objects: S3ObjectStore,
) -> None:
    await objects.delete(report.source_key)
    asked = {"dr-b": ("", "/image", "/frame.npy"), "dr-a": ("/source", "/frame.npy")}
    for user, part in ((user, part) for user, parts in asked.items() for part in parts):
        headers = issuer.bearer(report.tenant, user)
        answer = await client.get(f"/v1/reports/{report.report_id}{part}", headers=headers)
        assert answer.status_code == 404
    path = "refused GET /v1/reports/{report_id}"
    recorded = await facts(reports, report.tenant)
    assert [(fact.actor, fact.action, fact.reason) for fact in recorded] == [
        ("dr-b", path, "report_not_found"),
        ("dr-b", f"{path}/image", "report_not_found"),
        ("dr-b", f"{path}/frame.npy", "report_not_found"),
        ("dr-a", f"{path}/source", "rendering_not_found"),
        ("dr-a", f"{path}/frame.npy", "rendering_not_found"),
    ]
    assert {fact.report_id for fact in recorded} == {report.report_id}


async def test_many_reads_at_once_make_one_chain_without_gaps(
    client: httpx.AsyncClient, reports: PostgresReportStore, report: Report, issuer: TestIssuer
) -> None:
    headers = issuer.bearer(report.tenant, "dr-a")
    path = f"/v1/reports/{report.report_id}"
    answers = await asyncio.gather(*(client.get(path, headers=headers) for _ in range(60)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await facts(reports, report.tenant)) == 60


class Away(PostgresReportStore):
    """A database that goes away when something is to be audited."""

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[PostgresReportUnit]:
        async with super().transaction(scope) as unit:

            async def fail(*_: AuditFact) -> None:
                raise ConnectionError("away")

            unit.audit = fail  # type: ignore[method-assign]  # planted
            yield unit


async def test_a_read_that_cannot_be_recorded_is_not_answered(
    database: Database, reports: PostgresReportStore, report: Report
) -> None:
    caller = Scope(report.tenant, "dr-a", "clinician")
    each: list[Callable[[ReadLog], Awaitable[Any]]] = [
        lambda reads: get_report(report.report_id, scope=caller, reports=reports, reads=reads),
        lambda reads: list_reports(WorklistQuery(limit=10), scope=caller, reports=reports, reads=reads),
    ]
    async with GatheredReads(Away(database), "report") as reads:
        for read in each:
            with pytest.raises(ConnectionError):
                await read(reads)
    assert await facts(reports, report.tenant) == []
    async with GatheredReads(reports, "report") as kept:
        for read in each:
            await read(kept)
    assert len(await facts(reports, report.tenant)) == 2
