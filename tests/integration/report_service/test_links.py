"""Links that show one picture for minutes, to whoever has them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import jwt
import numpy as np
import pytest
from pydantic import SecretStr

from radrelay_shared.audit import AuditFact
from radrelay_shared.database import Database, Scope
from radrelay_shared.http import RateLimitSettings
from radrelay_shared.objects import S3ObjectStore
from report_service.adapters.links import LinkSigner
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.pictures import PictureKind, PictureRequest
from report_service.domain.report import Report
from report_service.handlers import persist_report
from report_service.links import LinkGrant
from report_service.main import create_app
from report_service.settings import LinkSettings, ReportSettings
from support.asgi import serving
from support.ct_images import ct
from support.dicom_files import encode
from support.events import inference_completed
from support.tenants import new_tenant
from support.tokens import TestIssuer

OLD, NEW = (SecretStr(f"a key that no installation has, {which}") for which in ("old", "new"))


@asynccontextmanager
async def with_keys(settings: ReportSettings, *keys: SecretStr, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service with these keys."""
    async with serving(create_app(settings.model_copy(update={"links": LinkSettings(keys=keys)} | changes))) as client:
        yield client


@pytest.fixture(scope="module")
async def client(settings: ReportSettings) -> AsyncIterator[httpx.AsyncClient]:
    async with with_keys(settings, OLD) as opened:
        yield opened


@pytest.fixture
async def report(database: Database, objects: S3ObjectStore) -> Report:
    return await persist(database, objects, new_tenant())


async def persist(database: Database, objects: S3ObjectStore, tenant: str) -> Report:
    store = PostgresReportStore(database)
    result = inference_completed(tenant=tenant)
    _, report = await persist_report(result, reports=store, now=lambda: datetime.now(UTC))
    await objects.put(report.source_key, encode(ct(np.full((20, 30), 1064, "<u2"))), content_type="application/dicom")
    return report


async def link_of(client: httpx.AsyncClient, issuer: TestIssuer, report: Report, /, **wanted: Any) -> str:
    response = await client.post(
        f"/v1/reports/{report.report_id}/links",
        params={"picture": "image"} | wanted,
        headers=issuer.bearer(report.tenant, "dr-a"),
    )
    assert response.status_code == 200, response.text
    path: str = response.json()["path"]
    return f"/{path}"


def grant_of(report: Report, **changes: Any) -> LinkGrant:
    fields: dict[str, Any] = {
        "scope": Scope(report.tenant, "dr-a", "clinician"),
        "report_id": report.report_id,
        "picture": PictureRequest(PictureKind.IMAGE),
        "expires_at": datetime.now(UTC) + timedelta(minutes=5),
    }
    return LinkGrant(**fields | changes)


def path_of(report: Report, grant: LinkGrant, *keys: SecretStr) -> str:
    return f"/v1/reports/{report.report_id}/links/{LinkSigner(keys or (OLD,)).sign(grant)}"


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ({"picture": "image", "window": "bone", "size": 16}, "image?window=bone&size=16"),
        ({"picture": "heatmap", "colour_map": "magma"}, "heatmap?colour_map=magma"),
        ({"picture": "overlay", "opacity": 0.3, "window": "40,90"}, "overlay?opacity=0.3&window=40,90"),
    ],
)
async def test_a_link_shows_without_a_token_what_its_route_shows_with_one(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, wanted: dict[str, Any], part: str
) -> None:
    linked = await client.get(await link_of(client, issuer, report, **wanted))
    direct = await client.get(f"/v1/reports/{report.report_id}/{part}", headers=issuer.bearer(report.tenant, "dr-a"))
    assert (linked.status_code, linked.headers["content-type"]) == (200, "image/png")
    assert linked.content == direct.content
    private, seconds = linked.headers["cache-control"].split(", max-age=")
    assert private == "private"
    assert 0 < int(seconds) <= 300
    assert linked.headers["referrer-policy"] == "no-referrer"
    again = await client.get(linked.request.url.path, headers={"If-None-Match": linked.headers["etag"]})
    assert again.status_code == 304


async def test_a_read_through_a_link_is_recorded_as_that_of_who_asked_for_it(
    client: httpx.AsyncClient, database: Database, issuer: TestIssuer, report: Report
) -> None:
    await client.get(await link_of(client, issuer, report, picture="overlay"))
    async with PostgresReportStore(database).transaction(Scope.service(report.tenant)) as unit:
        facts: list[AuditFact] = [record.fact for record in await unit.audit_records(0, 10)]
    assert [(fact.actor, fact.action, fact.reason, fact.report_id) for fact in facts] == [
        ("dr-a", "link.made", None, report.report_id),
        ("dr-a", "overlay.read", "by_link", report.report_id),
    ]


async def test_a_link_is_for_one_report_and_one_tenant(
    client: httpx.AsyncClient, database: Database, objects: S3ObjectStore, issuer: TestIssuer, report: Report
) -> None:
    link = await link_of(client, issuer, report)
    for tenant in (report.tenant, new_tenant()):
        other = await persist(database, objects, tenant)
        moved = await client.get(link.replace(str(report.report_id), str(other.report_id)))
        assert (moved.status_code, moved.json()["code"]) == (404, "link_not_found")
    # Even a grant that we signed crosses no tenant: row security has the last word.
    foreign = grant_of(report, scope=Scope(new_tenant(), "boss", "tenant_admin"))
    assert (await client.get(path_of(report, foreign))).json()["code"] == "report_not_found"
    colleague = grant_of(report, scope=Scope(report.tenant, "dr-b", "clinician"))
    assert (await client.get(path_of(report, colleague))).json()["code"] == "report_not_found"


async def test_a_link_ends(client: httpx.AsyncClient, report: Report) -> None:
    over = grant_of(report, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    response = await client.get(path_of(report, over))
    assert (response.status_code, response.json()["code"]) == (404, "link_not_found")
    assert (await client.get(path_of(report, grant_of(report)))).status_code == 200


async def test_a_link_that_was_changed_or_made_by_somebody_else_shows_nothing(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report
) -> None:
    link = await link_of(client, issuer, report)
    address, signed = link.rsplit("/", 1)
    head, claims, signature = signed.split(".")
    unsigned = jwt.encode(jwt.decode(signed, options={"verify_signature": False}), "", algorithm="none")
    forged = [
        f"{head}.{claims}.{signature[:-2]}AA",
        f"{head}.{claims[:-2]}AA.{signature}",
        LinkSigner((SecretStr("somebody else's key, as long as ours"),)).sign(grant_of(report)),
        unsigned,
        issuer.token(report.tenant, "dr-a"),
        str(uuid4()),
    ]
    for each in forged:
        response = await client.get(f"{address}/{each}")
        assert (response.status_code, response.json()["code"]) == (404, "link_not_found"), each


async def test_a_new_key_is_put_in_front_and_taking_the_old_one_away_ends_its_links(
    settings: ReportSettings, client: httpx.AsyncClient, issuer: TestIssuer, report: Report
) -> None:
    link = await link_of(client, issuer, report)
    async with with_keys(settings, NEW, OLD) as both:
        assert (await both.get(link)).status_code == 200
        newer = await link_of(both, issuer, report)
    async with with_keys(settings, NEW) as rotated:
        assert (await rotated.get(link)).status_code == 404
        assert (await rotated.get(newer)).status_code == 200


async def test_without_a_key_there_are_no_links(settings: ReportSettings, issuer: TestIssuer, report: Report) -> None:
    async with with_keys(settings) as client:
        address = f"/v1/reports/{report.report_id}/links"
        headers = issuer.bearer(report.tenant, "dr-a")
        response = await client.post(address, params={"picture": "image"}, headers=headers)
        assert (response.status_code, response.json()["code"]) == (503, "links_unavailable")
        assert (await client.get(path_of(report, grant_of(report)))).status_code == 404


async def test_reads_through_links_count_against_who_asked_for_them(settings: ReportSettings, report: Report) -> None:
    async with with_keys(settings, OLD, rate_limits=RateLimitSettings(user_reads="1/hour")) as client:
        statuses = [(await client.get(path_of(report, grant_of(report)))).status_code for _ in range(2)]
    assert statuses == [200, 429]


async def test_who_tries_links_has_to_wait(settings: ReportSettings, report: Report) -> None:
    async with with_keys(settings, OLD, rate_limits=RateLimitSettings(address_failures="2/hour")) as client:
        address = f"/v1/reports/{report.report_id}/links"
        statuses = [(await client.get(f"{address}/{uuid4()}")).status_code for _ in range(3)]
    assert statuses == [404, 404, 429]
