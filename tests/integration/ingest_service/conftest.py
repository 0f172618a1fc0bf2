import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest
from nats.js import JetStreamContext

from ingest_service.adapters.records import PostgresRecords
from ingest_service.main import create_app
from ingest_service.settings import IngestSettings, UploadSettings, ValidationSettings
from ingest_service.worker import start
from radrelay_shared.database import Database, DatabaseSettings
from radrelay_shared.messaging import NatsSettings, Publisher, connect, ensure_topology
from radrelay_shared.objects import S3ObjectStore
from support.dicom_files import dicom_file
from support.ingest_api import IngestUser
from support.ingest_case import Case
from support.serving import served
from support.stack import Infrastructure, ProvisionedDatabases
from support.tenants import new_tenant
from support.tokens import TestIssuer

MAX_FILE_BYTES = 3 << 20


@pytest.fixture(scope="session")
def ingest_database(provisioned: ProvisionedDatabases) -> DatabaseSettings:
    return provisioned("ingest")


@pytest.fixture(scope="session")
async def database(ingest_database: DatabaseSettings) -> AsyncIterator[Database]:
    """The runtime role's database."""
    async with Database(ingest_database.app_url) as opened:
        yield opened


@pytest.fixture(scope="session")
async def system(ingest_database: DatabaseSettings) -> AsyncIterator[Database]:
    """The system role's database."""
    assert ingest_database.system_url is not None
    async with Database(ingest_database.system_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def records(database: Database) -> PostgresRecords:
    return PostgresRecords(database)


@pytest.fixture(scope="session")
async def objects(infra: Infrastructure) -> AsyncIterator[S3ObjectStore]:
    async with S3ObjectStore(infra.objects) as store:
        yield store


@pytest.fixture(scope="session")
def settings(
    infra: Infrastructure,
    ingest_database: DatabaseSettings,
    issuer: TestIssuer,
    tmp_path_factory: pytest.TempPathFactory,
) -> IngestSettings:
    return IngestSettings(
        nats=NatsSettings(url=infra.nats_url),
        objects=infra.objects,
        database=ingest_database,
        auth=issuer.settings,
        upload=UploadSettings(
            max_file_bytes=MAX_FILE_BYTES, stall_timeout_s=1.0, spool_dir=tmp_path_factory.mktemp("spool")
        ),
        validation=ValidationSettings(timeout_s=10.0),
        sweep_interval_s=0.2,
    )


@pytest.fixture(scope="session")
async def service(settings: IngestSettings) -> AsyncIterator[str]:
    """The API's address."""
    async with served(create_app(settings)) as address:
        yield address


@pytest.fixture(scope="session")
def serving(settings: IngestSettings) -> Callable[..., AbstractAsyncContextManager[str]]:
    """Runs another API, with settings changed as given, while the block runs."""
    return lambda **changes: served(create_app(settings.model_copy(update=changes)))


@pytest.fixture
async def user(service: str, issuer: TestIssuer) -> AsyncIterator[Callable[..., IngestUser]]:
    """Makes users of the API."""
    async with httpx.AsyncClient(base_url=service, timeout=30) as client:

        def make(tenant: str, name: str = "dr-a", roles: Sequence[str] = ("clinician",)) -> IngestUser:
            return IngestUser(client, issuer.bearer(tenant, name, tuple(roles)))

        yield make


@pytest.fixture(scope="session")
async def js(infra: Infrastructure) -> AsyncIterator[JetStreamContext]:
    settings = NatsSettings(url=infra.nats_url)
    async with connect(settings, name="test") as client:
        context = client.jetstream()
        await ensure_topology(context, settings.streams)
        yield context


@pytest.fixture
def working(settings: IngestSettings) -> Callable[..., AbstractAsyncContextManager[None]]:
    """Runs the worker, with settings changed as given, while the block runs."""

    @asynccontextmanager
    async def run(**changes: Any) -> AsyncIterator[None]:
        stop = asyncio.Event()
        async with start(settings.model_copy(update=changes), stop) as (jobs, _):
            running = [asyncio.ensure_future(job) for job in jobs]
            try:
                yield
            finally:
                stop.set()
                await asyncio.gather(*running)

    return run


@pytest.fixture
async def case(user: Callable[..., IngestUser], js: JetStreamContext) -> Case:
    tenant = new_tenant()
    doctor = user(tenant)
    batch_id = await doctor.open_batch()
    (accepted,) = (await doctor.upload(batch_id, {"a.dcm": dicom_file()}))["accepted"]
    return Case(doctor, tenant, batch_id, UUID(accepted["instance_id"]), Publisher(js))
