"""Figures that come by themselves when they change."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from dashboard_service.adapters.counting import PostgresCountStore
from dashboard_service.handlers.counting import count_event
from dashboard_service.main import create_app
from dashboard_service.settings import DashboardSettings, TimeZones
from radrelay_shared.database import Database
from support.events import report_created
from support.serving import served
from support.tenants import new_tenant
from support.tokens import TestIssuer

PERIOD = {"first": "2026-03-01", "last": "2026-03-31"}


@pytest.fixture(scope="module")
async def client(settings: DashboardSettings) -> AsyncIterator[httpx.AsyncClient]:
    async with served(create_app(settings)) as address, httpx.AsyncClient(base_url=address, timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def counts(database: Database) -> PostgresCountStore:
    return PostgresCountStore(database, TimeZones())


async def totals(client: httpx.AsyncClient, headers: dict[str, str], **parameters: str) -> AsyncGenerator[int, None]:
    """The number of cases in each event of a stream."""
    asked = client.stream("GET", "/v1/summary/events", params=PERIOD | parameters, headers=headers)
    async with asked as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                body: dict[str, Any] = json.loads(line.removeprefix("data:"))
                yield body["total_cases"]


async def test_a_change_is_sent_to_whose_figures_it_changes(
    client: httpx.AsyncClient, issuer: TestIssuer, counts: PostgresCountStore
) -> None:
    tenant = new_tenant()
    own = totals(client, issuer.bearer(tenant, "dr-a"))
    other = totals(client, issuer.bearer(tenant, "dr-b"))
    whole = totals(client, issuer.bearer(tenant, "boss", ("tenant_admin",)), scope="tenant")
    async with aclosing(own), aclosing(other), aclosing(whole), asyncio.timeout(30):
        for stream in (own, other, whole):
            assert await anext(stream) == 0
        await count_event(report_created(tenant=tenant, owner_id="dr-a"), consumer="tests", counts=counts)
        assert (await anext(own), await anext(whole)) == (1, 1)
        await count_event(report_created(tenant=tenant, owner_id="dr-b"), consumer="tests", counts=counts)
        # What comes next to each is their own change: dr-b was sent nothing when dr-a's figures changed.
        assert (await anext(other), await anext(whole)) == (1, 2)


async def test_a_stream_ends_so_that_a_valid_token_is_shown_again(
    settings: DashboardSettings, issuer: TestIssuer
) -> None:
    headers = issuer.bearer(new_tenant(), "dr-a")
    brief = create_app(settings.model_copy(update={"stream_s": 0.2}))
    async with served(brief) as address, httpx.AsyncClient(base_url=address) as client, asyncio.timeout(30):
        assert [total async for total in totals(client, headers)] == [0]


async def test_a_stream_that_may_not_be_opened_is_answered_with_a_problem(
    client: httpx.AsyncClient, issuer: TestIssuer
) -> None:
    headers = issuer.bearer(new_tenant(), "dr-a")
    answer = await client.get("/v1/summary/events", params={"scope": "tenant"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_scope_forbidden")
    answer = await client.get("/v1/summary/events", params={"first": "0001-01-01"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "impossible_period")
    assert (await client.get("/v1/summary/events")).status_code == 401
