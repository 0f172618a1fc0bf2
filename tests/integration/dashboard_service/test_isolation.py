"""Nobody sees another's figures, through whatever route: a route without a case fails."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from dashboard_service.adapters.postgres import PostgresCountStore
from dashboard_service.handlers import count_failure, count_report
from dashboard_service.main import create_app
from dashboard_service.settings import DashboardSettings
from radrelay_shared.database import Database
from support.asgi import serving
from support.events import inference_failed, report_created
from support.tenants import new_tenant
from support.tokens import TestIssuer

CASES = {("get", "/v1/summary")}


@dataclass(frozen=True)
class World:
    """A tenant with three cases and a failure of dr-a, and one case of dr-b."""

    client: httpx.AsyncClient
    tenant: str


@pytest.fixture(scope="module")
def app(settings: DashboardSettings) -> FastAPI:
    return create_app(settings)


@pytest.fixture(scope="module")
async def world(app: FastAPI, database: Database) -> AsyncIterator[World]:
    tenant, counts = new_tenant(), PostgresCountStore(database)
    for owner, positive in (("dr-a", True), ("dr-a", False), ("dr-a", True), ("dr-b", False)):
        event = report_created(tenant=tenant, owner_id=owner, positive=positive)
        await count_report(event, consumer="reports", counts=counts)
    await count_failure(inference_failed(tenant=tenant, owner_id="dr-a"), consumer="failures", counts=counts)
    async with serving(app) as client:
        yield World(client, tenant)


def test_every_route_has_a_case(app: FastAPI) -> None:
    routes = {(method, path) for path, methods in app.openapi()["paths"].items() for method in methods}
    assert routes == CASES


async def summary(world: World, headers: dict[str, str], scope: str | None = None) -> httpx.Response:
    parameters = {} if scope is None else {"scope": scope}
    return await world.client.get("/v1/summary", params=parameters, headers=headers)


def totals(response: httpx.Response) -> tuple[Any, ...]:
    assert response.status_code == 200, response.text
    body = response.json()
    return body["scope"], body["total_cases"], body["positive_cases"], body["failed_cases"]


@pytest.mark.parametrize(
    ("user", "role", "scope", "expected"),
    [
        ("dr-a", "clinician", None, ("own", 3, 2, 1)),
        ("dr-a", "clinician", "own", ("own", 3, 2, 1)),
        ("dr-b", "clinician", "own", ("own", 1, 0, 0)),
        ("dr-c", "clinician", "own", ("own", 0, 0, 0)),
        ("ris", "service", "own", ("own", 0, 0, 0)),
        ("boss", "tenant_admin", "own", ("own", 0, 0, 0)),
        ("dr-a", "tenant_admin", "own", ("own", 3, 2, 1)),
        ("boss", "tenant_admin", "tenant", ("tenant", 4, 2, 1)),
    ],
)
async def test_each_sees_their_own_and_an_administrator_the_tenant(
    world: World, issuer: TestIssuer, user: str, role: str, scope: str | None, expected: tuple[Any, ...]
) -> None:
    assert totals(await summary(world, issuer.bearer(world.tenant, user, (role,)), scope)) == expected


@pytest.mark.parametrize(("user", "role"), [("dr-a", "clinician"), ("ris", "service")])
async def test_the_tenants_figures_are_forbidden_to_others(
    world: World, issuer: TestIssuer, user: str, role: str
) -> None:
    response = await summary(world, issuer.bearer(world.tenant, user, (role,)), "tenant")
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "tenant_scope_forbidden"


@pytest.mark.parametrize(("user", "role", "scope"), [("dr-a", "clinician", "own"), ("boss", "tenant_admin", "tenant")])
async def test_another_tenant_sees_nothing(world: World, issuer: TestIssuer, user: str, role: str, scope: str) -> None:
    response = await summary(world, issuer.bearer(new_tenant(), user, (role,)), scope)
    assert totals(response) == (scope, 0, 0, 0)
    assert response.json()["positivity_rate"] is None
    assert response.json()["average_confidence"] is None


async def test_without_a_token_there_is_no_answer(world: World) -> None:
    assert (await summary(world, {})).status_code == 401


async def test_an_unknown_scope_is_a_problem(world: World, issuer: TestIssuer) -> None:
    response = await summary(world, issuer.bearer(world.tenant, "dr-a"), "world")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


async def test_the_summary_has_the_published_shape(world: World, issuer: TestIssuer) -> None:
    response = await summary(world, issuer.bearer(world.tenant, "boss", ("tenant_admin",)), "tenant")
    assert response.json() == {
        "scope": "tenant",
        "total_cases": 4,
        "positive_cases": 2,
        "positivity_rate": 0.5,
        "average_confidence": 0.5,
        "failed_cases": 1,
        "by_urgency": {"stat": 0, "urgent": 4, "routine": 0},
        "by_day": [{"day": "2026-03-14", "cases": 4, "positive": 2}],
        "by_model": [{"digest": "sha256:" + "5e" * 32, "label": "untrained", "cases": 4}],
    }


async def test_the_service_is_ready_and_says_what_it_checked(world: World) -> None:
    assert (await world.client.get("/readyz")).json() == {"status": "ready", "checked": ["database"]}
