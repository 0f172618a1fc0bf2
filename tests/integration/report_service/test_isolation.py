"""Nobody sees another's report, through whatever route: a route without a case fails."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI

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

Judge = Callable[[httpx.Response, Report], bool]


def _names(response: httpx.Response, report: Report) -> bool:
    """Whether an answer that lists or shows reports shows this one."""
    return response.status_code == 200 and str(report.report_id) in response.text


def _gives_bytes(response: httpx.Response, _: Report) -> bool:
    return response.status_code == 200 and response.content == b"rendering"


@dataclass(frozen=True)
class Case:
    """How a route is asked for a report."""

    shows: Judge
    """Whether the answer shows the report."""
    refusal: int
    """Status for those who may not see it: a list is merely empty."""


CASES = {
    ("get", "/v1/reports"): Case(_names, refusal=200),
    ("get", "/v1/reports/{report_id}"): Case(_names, refusal=404),
    ("get", "/v1/reports/{report_id}/image"): Case(_gives_bytes, refusal=404),
    ("get", "/v1/reports/{report_id}/overlay"): Case(_gives_bytes, refusal=404),
    ("get", "/v1/reports/{report_id}/heatmap"): Case(_gives_bytes, refusal=404),
    ("get", "/v1/reports/{report_id}/source"): Case(_gives_bytes, refusal=404),
}


@dataclass(frozen=True)
class World:
    """One report, and the application that serves it."""

    client: httpx.AsyncClient
    report: Report


@pytest.fixture(scope="module")
def app(settings: ReportSettings) -> FastAPI:
    return create_app(settings)


@pytest.fixture(scope="module")
async def world(app: FastAPI, database: Database, objects: S3ObjectStore) -> AsyncIterator[World]:
    event = inference_completed(tenant=new_tenant(), owner_id="dr-a")
    _, report = await persist_report(event, reports=PostgresReportStore(database), now=lambda: datetime.now(UTC))
    for key in (report.preview_key, report.overlay_key, report.cam_key, report.source_key):
        await objects.put(key, b"rendering", content_type="image/png")
    async with serving(app) as client:
        yield World(client, report)


def test_every_route_has_a_case(app: FastAPI) -> None:
    routes = {(method, path) for path, methods in app.openapi()["paths"].items() for method in methods}
    assert routes == set(CASES)


@pytest.fixture(params=CASES, ids=" ".join)
def route(request: pytest.FixtureRequest) -> tuple[str, str]:
    method, path = request.param
    return method, path


async def ask(world: World, route: tuple[str, str], headers: dict[str, str]) -> httpx.Response:
    method, path = route
    return await world.client.request(method, path.format(report_id=world.report.report_id), headers=headers)


async def test_its_owner_sees_it(world: World, route: tuple[str, str], issuer: TestIssuer) -> None:
    response = await ask(world, route, issuer.bearer(world.report.tenant, "dr-a"))
    assert CASES[route].shows(response, world.report)


async def test_the_tenants_administrator_sees_it(world: World, route: tuple[str, str], issuer: TestIssuer) -> None:
    response = await ask(world, route, issuer.bearer(world.report.tenant, "boss", ("tenant_admin",)))
    assert CASES[route].shows(response, world.report)


@pytest.mark.parametrize(
    ("tenant", "user", "role"),
    [
        ("same", "dr-b", "clinician"),
        ("same", "ris", "service"),
        ("other", "dr-a", "clinician"),
        ("other", "boss", "tenant_admin"),
        ("other", "dr-a", "service"),
    ],
)
async def test_nobody_else_sees_it(
    world: World, route: tuple[str, str], issuer: TestIssuer, tenant: str, user: str, role: str
) -> None:
    named = world.report.tenant if tenant == "same" else new_tenant()
    response = await ask(world, route, issuer.bearer(named, user, (role,)))
    assert response.status_code == CASES[route].refusal
    assert str(world.report.report_id) not in response.text
    assert not CASES[route].shows(response, world.report)


async def test_without_a_token_there_is_no_answer(world: World, route: tuple[str, str]) -> None:
    assert (await ask(world, route, {})).status_code == 401


async def test_a_batch_of_another_is_empty(world: World, issuer: TestIssuer) -> None:
    parameters = {"batch_id": str(world.report.batch_id)}
    for tenant, user in ((world.report.tenant, "dr-b"), (new_tenant(), "dr-a")):
        headers = issuer.bearer(tenant, user)
        response = await world.client.get("/v1/reports", params=parameters, headers=headers)
        assert response.json() == {"reports": [], "next_cursor": None}
