"""Nobody sees another's figures, through whatever route: a route without a case fails."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from dashboard_service.adapters.counting import PostgresCountStore
from dashboard_service.handlers.counting import count_event
from dashboard_service.main import create_app
from dashboard_service.settings import DashboardSettings, TimeZones
from radrelay_shared.database import Database
from radrelay_shared.events import Event
from support.asgi import serving
from support.events import inference_failed, report_created, report_reviewed
from support.tenants import new_tenant
from support.tokens import TestIssuer

PERIOD = {"first": "2026-03-01", "last": "2026-03-31"}
CASES: dict[str, dict[str, str]] = {
    "/v1/summary": {},
    "/v1/trends": {"step": "month"},
    "/v1/breakdown": {"by": "modality"},
    "/v1/histogram": {},
    "/v1/turnaround": {},
    "/v1/failures": {},
    "/v1/agreement": {},
    "/v1/export": {},
}
"""Route and parameters. What stays open is tried in test_live.py."""


@dataclass(frozen=True)
class World:
    """A tenant with three cases and a failure of dr-a, and one reviewed case of dr-b."""

    client: httpx.AsyncClient
    tenant: str

    async def get(self, path: str, headers: dict[str, str], **parameters: str) -> httpx.Response:
        return await self.client.get(path, params=PERIOD | CASES[path] | parameters, headers=headers)


@pytest.fixture(scope="module")
def app(settings: DashboardSettings) -> FastAPI:
    return create_app(settings)


@pytest.fixture(scope="module")
async def world(app: FastAPI, database: Database) -> AsyncIterator[World]:
    tenant, counts = new_tenant(), PostgresCountStore(database, TimeZones())
    reports = [
        report_created(tenant=tenant, owner_id=owner, positive=positive)
        for owner, positive in (("dr-a", True), ("dr-a", False), ("dr-a", True), ("dr-b", False))
    ]
    events: list[Event[Any]] = [*reports, report_reviewed(reports[-1])]
    for event in (*events, inference_failed(tenant=tenant, owner_id="dr-a")):
        await count_event(event, consumer="tests", counts=counts)
    async with serving(app) as client:
        yield World(client, tenant)


def test_every_route_has_a_case(app: FastAPI) -> None:
    routes = {(method, path) for path, methods in app.openapi()["paths"].items() for method in methods}
    assert routes == {("get", path) for path in (*CASES, "/v1/summary/events")}


COUNTED: dict[str, Callable[[Any], Any]] = {
    "/v1/summary": lambda body: (body["total_cases"], body["failed_cases"]),
    "/v1/trends": lambda body: sum(each["cases"] for each in body["points"]),
    "/v1/breakdown": lambda body: sum(each["counts"]["cases"] for each in body["parts"]),
    "/v1/histogram": lambda body: sum(each["cases"] for each in body["bins"]),
    "/v1/turnaround": lambda body: sum(each["cases"] for each in body["by_priority"]),
    "/v1/failures": lambda body: sum(each["failed_cases"] for each in body["reasons"]),
    "/v1/agreement": lambda body: body["all"]["reviewed"],
}


def numbers(path: str, response: httpx.Response) -> Any:
    """What an answer says of how many there are: cases, failures, reviews, or lines."""
    assert response.status_code == 200, response.text
    if path == "/v1/export":
        return len(response.text.splitlines()) - 1
    return COUNTED[path](response.json())


# By route: of dr-a, of dr-b, of the tenant, of nobody. An export has a line for each day, modality, model and urgency.
NUMBERS: dict[str, tuple[Any, Any, Any, Any]] = {
    "/v1/summary": ((3, 1), (1, 0), (4, 1), (0, 0)),
    **dict.fromkeys(("/v1/trends", "/v1/breakdown", "/v1/histogram", "/v1/turnaround"), (3, 1, 4, 0)),
    "/v1/failures": (1, 0, 1, 0),
    "/v1/agreement": (0, 1, 1, 0),
    "/v1/export": (1, 1, 1, 0),
}


@pytest.mark.parametrize("path", CASES)
async def test_each_sees_their_own_and_an_administrator_the_tenant(world: World, issuer: TestIssuer, path: str) -> None:
    of_a, of_b, of_all, of_nobody = NUMBERS[path]
    for user, role, scope, expected in (
        ("dr-a", "clinician", None, of_a),
        ("dr-a", "clinician", "own", of_a),
        ("dr-b", "clinician", "own", of_b),
        ("dr-c", "clinician", "own", of_nobody),
        ("ris", "service", "own", of_nobody),
        ("boss", "tenant_admin", "own", of_nobody),
        ("dr-a", "tenant_admin", "own", of_a),
        ("boss", "tenant_admin", "tenant", of_all),
    ):
        asked = {} if scope is None else {"scope": scope}
        response = await world.get(path, issuer.bearer(world.tenant, user, (role,)), **asked)
        assert numbers(path, response) == expected, (user, role, scope)


@pytest.mark.parametrize("path", CASES)
@pytest.mark.parametrize("role", ["clinician", "service"])
async def test_the_tenants_figures_are_forbidden_to_others(
    world: World, issuer: TestIssuer, path: str, role: str
) -> None:
    response = await world.get(path, issuer.bearer(world.tenant, "dr-a", (role,)), scope="tenant")
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "tenant_scope_forbidden"


@pytest.mark.parametrize("path", CASES)
@pytest.mark.parametrize(("user", "role", "scope"), [("dr-a", "clinician", "own"), ("boss", "tenant_admin", "tenant")])
async def test_another_tenant_sees_nothing(
    world: World, issuer: TestIssuer, path: str, user: str, role: str, scope: str
) -> None:
    response = await world.get(path, issuer.bearer(new_tenant(), user, (role,)), scope=scope)
    assert numbers(path, response) == NUMBERS[path][3]


@pytest.mark.parametrize("path", CASES)
async def test_without_a_token_there_is_no_answer(world: World, path: str) -> None:
    assert (await world.get(path, {})).status_code == 401


@pytest.mark.parametrize("path", CASES)
async def test_an_unknown_scope_is_a_problem(world: World, issuer: TestIssuer, path: str) -> None:
    response = await world.get(path, issuer.bearer(world.tenant, "dr-a"), scope="world")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("path", CASES)
async def test_a_period_that_ends_before_it_begins_is_a_problem(world: World, issuer: TestIssuer, path: str) -> None:
    response = await world.get(path, issuer.bearer(world.tenant, "dr-a"), first="2026-04-01")
    assert (response.status_code, response.json()["code"]) == (400, "impossible_period")


async def test_the_service_is_ready_and_says_what_it_checked(world: World) -> None:
    assert (await world.client.get("/readyz")).json() == {"status": "ready", "checked": ["database"]}
