"""The services through PgBouncer in transaction mode with two server connections, as a managed database offers it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from uuid import UUID

import httpx
import pytest
from nats.js import JetStreamContext
from sqlalchemy import text

import dashboard_service.bootstrap
import ingest_service.worker
import report_service.bootstrap
from radrelay_shared.database import Database, DatabaseSettings, Scope
from radrelay_shared.messaging import NatsSettings, Publisher, connect, ensure_topology
from radrelay_shared.process import Jobs
from report_service.adapters.postgres import PostgresReportStore
from report_service.handlers import persist_report
from support.applications import LISTS, application_of, settings_of
from support.asgi import serving
from support.cancelling import cancel_many
from support.database_server import SERVER_CONNECTIONS
from support.dicom_files import dicom_file
from support.events import RECEIVED_AT, inference_completed
from support.ingest_api import IngestUser
from support.serving import served
from support.stack import Infrastructure
from support.tenants import new_tenant
from support.tokens import TestIssuer
from support.workers import working

CLIENTS = 16
"""Connections that one process keeps to the pooler: many more than it has to the server."""


@pytest.fixture
async def database(through_pooler: dict[str, DatabaseSettings]) -> AsyncIterator[Database]:
    """The report service's, as its runtime role."""
    async with through_pooler["report"].app(pool_size=CLIENTS) as opened:
        yield opened


async def add_report(database: Database, tenant: str) -> None:
    event = inference_completed(tenant=tenant)
    await persist_report(event, reports=PostgresReportStore(database), now=lambda: RECEIVED_AT)


async def tenants_seen(database: Database, scope: Scope | None) -> tuple[int, set[str]]:
    """Which server connection it was, and whose reports a query without a WHERE shows on it."""
    async with database.transaction(scope) if scope else database.system_transaction() as session:
        rows = await session.execute(text("SELECT tenant FROM report.reports"))
        return await session.scalar(text("SELECT pg_backend_pid()")), set(rows.scalars())


async def test_tenants_in_turn_on_one_server_connection_see_their_own_rows_alone(database: Database) -> None:
    north, south = new_tenant(), new_tenant()
    await asyncio.gather(*(add_report(database, tenant) for tenant in (north, south) * CLIENTS))
    asked = [*(Scope.service(tenant) for tenant in (north, south)), None] * (4 * CLIENTS)
    seen = await asyncio.gather(*(tenants_seen(database, scope) for scope in asked))
    on: dict[int, set[str]] = {}
    for scope, (backend, tenants) in zip(asked, seen, strict=True):
        assert tenants == ({scope.tenant} if scope else set())
        on.setdefault(backend, set()).update(tenants)
    assert len(on) <= SERVER_CONNECTIONS
    assert {north, south} in on.values()


async def test_nothing_prepared_and_no_setting_stays_on_a_server_connection(database: Database) -> None:
    tenant = new_tenant()
    await asyncio.gather(*(add_report(database, tenant) for _ in range(CLIENTS)))

    async def left() -> tuple[int, str]:
        async with database.system_transaction() as session:
            prepared = await session.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
            tenant = await session.scalar(text("SELECT coalesce(current_setting('radrelay.tenant', true), '')"))
            return prepared, tenant

    assert set(await asyncio.gather(*(left() for _ in range(CLIENTS)))) == {(0, "")}


async def test_cancelled_work_leaves_the_server_connections_to_others(database: Database) -> None:
    tenant = new_tenant()
    await cancel_many(partial(add_report, database, tenant), 100, seed=3)
    async with asyncio.timeout(20):
        seen = await asyncio.gather(*(tenants_seen(database, Scope.service(tenant)) for _ in range(CLIENTS)))
    assert {frozenset(tenants) for _, tenants in seen} <= {frozenset({tenant}), frozenset()}


async def test_a_notification_comes_on_the_direct_connection(database: Database) -> None:
    heard = asyncio.Event()
    listening = await database.connect_to_listen()
    try:
        await listening.add_listener("report_outbox", lambda *_: heard.set())
        await add_report(database, new_tenant())
        async with asyncio.timeout(10):
            await heard.wait()
    finally:
        await listening.close()


@pytest.mark.parametrize("service", LISTS)
async def test_requests_of_two_tenants_at_once_are_answered(
    through_pooler: dict[str, DatabaseSettings], infra: Infrastructure, issuer: TestIssuer, service: str
) -> None:
    app = application_of(service, infra, issuer.settings, through_pooler[service])
    async with serving(app) as client:
        headers = [issuer.bearer(new_tenant(), "dr-a"), issuer.bearer(new_tenant(), "chief", ("tenant_admin",))]
        answers = await asyncio.gather(*(client.get(LISTS[service], headers=each) for each in headers * CLIENTS))
        assert {answer.status_code for answer in answers} == {200}
        assert (await client.get("/readyz")).status_code == 200


@pytest.fixture
async def js(infra: Infrastructure) -> AsyncIterator[JetStreamContext]:
    settings = NatsSettings(url=infra.nats_url)
    async with connect(settings, name="test") as client:
        context = client.jetstream()
        await ensure_topology(context, settings.streams)
        yield context


@asynccontextmanager
async def workers(
    through_pooler: dict[str, DatabaseSettings], infra: Infrastructure, issuer: TestIssuer
) -> AsyncIterator[None]:
    """The workers of the three services, with their databases through the pooler."""
    ingest, report, dashboard = (
        settings_of(name, infra, issuer.settings, through_pooler[name]) for name in ("ingest", "report", "dashboard")
    )

    async def open_ingest(stack: AsyncExitStack, stop: asyncio.Event) -> Jobs:
        return await stack.enter_async_context(ingest_service.worker.start(ingest, stop))

    async with (
        working(open_ingest),
        working(partial(report_service.bootstrap.open_worker, report)),
        working(partial(dashboard_service.bootstrap.open_worker, dashboard)),
    ):
        yield


async def test_a_case_goes_from_upload_over_report_to_figures(
    through_pooler: dict[str, DatabaseSettings], infra: Infrastructure, issuer: TestIssuer, js: JetStreamContext
) -> None:
    north, south = new_tenant(), new_tenant()
    async with AsyncExitStack() as stack:
        clients = {}
        for service in LISTS:
            app = application_of(service, infra, issuer.settings, through_pooler[service])
            address = await stack.enter_async_context(served(app))
            clients[service] = await stack.enter_async_context(httpx.AsyncClient(base_url=address, timeout=30))
        await stack.enter_async_context(workers(through_pooler, infra, issuer))

        async def screen(tenant: str) -> None:
            """A clinician uploads an image, the model reads it, and everybody hears of it."""
            doctor = IngestUser(clients["ingest"], issuer.bearer(tenant, "dr-a"))
            stored = await js.subscribe(f"radrelay.v1.{tenant}.instance.stored.routine", ordered_consumer=True)
            batch_id = await doctor.open_batch()
            async with doctor.events(batch_id) as events, asyncio.timeout(30):
                (accepted,) = (await doctor.upload(batch_id, {"a.dcm": dicom_file()}, close=True))["accepted"]
                await stored.next_msg(timeout=20)
                result = inference_completed(
                    tenant=tenant, instance_id=UUID(accepted["instance_id"]), batch_id=UUID(batch_id)
                )
                await Publisher(js).publish(result)
                assert [name async for name, _ in events][-1] == "done"
            (report,) = (await clients["report"].get("/v1/reports", headers=doctor.headers)).json()["reports"]
            assert report["instance_id"] == accepted["instance_id"]

            async def counted() -> int:
                answer = await clients["dashboard"].get(LISTS["dashboard"], headers=doctor.headers)
                return int(answer.json()["total_cases"])

            async with asyncio.timeout(20):
                while await counted() != 1:
                    await asyncio.sleep(0.02)

        await asyncio.gather(screen(north), screen(south))
