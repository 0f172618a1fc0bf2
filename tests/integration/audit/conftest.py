"""Each test here runs with every service that keeps audit trails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from nats.js import JetStreamContext

import ingest_service.main
import ingest_service.worker
import report_service.bootstrap
import report_service.main
from ingest_service.adapters import records as ingest_records
from ingest_service.adapters.tables import OutboxRow as IngestOutbox
from ingest_service.settings import IngestSettings
from radrelay_shared.database import Database, DatabaseSettings
from radrelay_shared.messaging import NatsSettings, connect, ensure_topology
from radrelay_shared.objects import S3ObjectStore
from radrelay_shared.process import Jobs
from report_service.adapters import postgres as report_records
from report_service.adapters.tables import OutboxRow as ReportOutbox
from report_service.settings import ReportSettings
from support.audited import AuditedService
from support.databases import dsn
from support.serving import served
from support.stack import Infrastructure, ProvisionedDatabases
from support.tokens import TestIssuer

PACE_S = 0.05


@pytest.fixture(scope="session")
async def js(infra: Infrastructure) -> AsyncIterator[JetStreamContext]:
    settings = NatsSettings(url=infra.nats_url)
    async with connect(settings, name="test") as client:
        context = client.jetstream()
        await ensure_topology(context, settings.streams)
        yield context


@pytest.fixture(scope="session")
async def objects(infra: Infrastructure) -> AsyncIterator[S3ObjectStore]:
    async with S3ObjectStore(infra.objects) as store:
        yield store


@pytest.fixture(scope="session", params=["ingest", "report"])
async def audited(
    request: pytest.FixtureRequest,
    infra: Infrastructure,
    provisioned: ProvisionedDatabases,
    issuer: TestIssuer,
    objects: S3ObjectStore,
) -> AsyncIterator[AuditedService]:
    """A service that keeps audit trails."""
    database = provisioned(request.param)
    assert database.system_url is not None
    open_service = {"ingest": _ingest, "report": _report}[request.param]
    async with (
        Database(database.app_url) as app_database,
        Database(database.system_url) as system,
        open_service(infra, database, issuer, app_database, system) as service,
    ):
        yield service


@asynccontextmanager
async def _ingest(
    infra: Infrastructure, urls: DatabaseSettings, issuer: TestIssuer, database: Database, system: Database
) -> AsyncIterator[AuditedService]:
    settings = IngestSettings(
        nats=NatsSettings(url=infra.nats_url),
        objects=infra.objects,
        database=urls,
        auth=issuer.settings,
        audit_head_interval_s=PACE_S,
    )
    async with (
        served(ingest_service.main.create_app(settings)) as address,
        httpx.AsyncClient(base_url=address, timeout=30) as client,
    ):
        yield AuditedService(
            name="ingest",
            client=client,
            issuer=issuer,
            database=database,
            system=system,
            admin_dsn=_admin(infra, urls),
            store=ingest_records.PostgresRecords(database),
            statements=ingest_records.CHAIN,
            outbox=IngestOutbox,
            listing="/v1/batches",
            thing="/v1/batches/{}",
            worker=lambda stop: ingest_service.worker.start(settings, stop),
        )


@asynccontextmanager
async def _report(
    infra: Infrastructure, urls: DatabaseSettings, issuer: TestIssuer, database: Database, system: Database
) -> AsyncIterator[AuditedService]:
    settings = ReportSettings(
        nats=NatsSettings(url=infra.nats_url),
        objects=infra.objects,
        database=urls,
        auth=issuer.settings,
        audit_head_interval_s=PACE_S,
    )

    @asynccontextmanager
    async def worker(stop: asyncio.Event) -> AsyncIterator[Jobs]:
        async with AsyncExitStack() as stack:
            yield await report_service.bootstrap.open_worker(settings, stack, stop)

    async with (
        served(report_service.main.create_app(settings)) as address,
        httpx.AsyncClient(base_url=address, timeout=30) as client,
    ):
        yield AuditedService(
            name="report",
            client=client,
            issuer=issuer,
            database=database,
            system=system,
            admin_dsn=_admin(infra, urls),
            store=report_records.PostgresReportStore(database),
            statements=report_records.CHAIN,
            outbox=ReportOutbox,
            listing="/v1/reports",
            thing="/v1/reports/{}",
            worker=worker,
        )


def _admin(infra: Infrastructure, urls: DatabaseSettings) -> str:
    name = dsn(urls.app_url).rsplit("/", 1)[1]
    return f"{infra.postgres_admin_url.rsplit('/', 1)[0]}/{name}"
