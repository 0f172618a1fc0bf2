"""Clients that go away take nothing with them (SQLAlchemy issues 8145 and 12099), with each service."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest

from dashboard_service.adapters.counting import PostgresCountStore
from dashboard_service.handlers.counting import count_event
from dashboard_service.settings import TimeZones
from radrelay_shared.database import Database, DatabaseSettings
from report_service.adapters.postgres import PostgresReportStore
from report_service.handlers import persist_report
from support.applications import LISTS, application_of
from support.asgi import serving
from support.cancelling import cancel_many, wait_until_nothing_is_held
from support.databases import dsn
from support.events import RECEIVED_AT, inference_completed, report_created
from support.stack import Infrastructure, ProvisionedDatabases
from support.tenants import new_tenant
from support.tokens import TestIssuer

POOL_SIZE = 2


async def fill(service: str, database: Database, client: httpx.AsyncClient, tenant: str, own: dict[str, str]) -> None:
    """One case of a clinician."""
    if service == "report":
        event = inference_completed(tenant=tenant)
        await persist_report(event, reports=PostgresReportStore(database), now=lambda: RECEIVED_AT)
    elif service == "dashboard":
        counts = PostgresCountStore(database, TimeZones())
        await count_event(report_created(tenant=tenant), consumer="reports", counts=counts)
    else:
        assert (await client.post("/v1/batches", json={}, headers=own)).status_code == 201


def cases(answer: httpx.Response) -> int:
    """How many cases a read shows."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["total_cases"] if "total_cases" in body else len(body.get("batches", body.get("reports")))


@pytest.fixture(params=LISTS)
def service(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def small_pool(service: str, provisioned: ProvisionedDatabases) -> DatabaseSettings:
    return provisioned(service).model_copy(update={"pool_size": POOL_SIZE, "max_overflow": 0})


@pytest.fixture
async def observer(small_pool: DatabaseSettings) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn(small_pool.app_url))
    yield connection
    await connection.close()


async def test_cancelled_requests_on_a_small_pool_leak_nothing(
    service: str, small_pool: DatabaseSettings, observer: asyncpg.Connection, infra: Infrastructure, issuer: TestIssuer
) -> None:
    tenant = new_tenant()
    own, others = issuer.bearer(tenant, "dr-a"), issuer.bearer(new_tenant(), "dr-a")
    path = LISTS[service]
    app = application_of(service, infra, issuer.settings, small_pool)
    async with serving(app) as client, small_pool.app() as database:
        await fill(service, database, client, tenant, own)
        await client.get(path, headers=own)  # the signing keys are fetched by now
        await cancel_many(lambda: client.get(path, headers=own), 500, seed=1)
        async with asyncio.timeout(10):
            for headers, count in ((others, 0), (own, 1)) * (2 * POOL_SIZE):
                answers = await asyncio.gather(*(client.get(path, headers=headers) for _ in range(POOL_SIZE)))
                assert [cases(answer) for answer in answers] == [count] * POOL_SIZE
        await wait_until_nothing_is_held(observer)
