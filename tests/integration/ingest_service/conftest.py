import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from nats.js import JetStreamContext

from ingest_service.adapters.records import PostgresRecords
from ingest_service.main import create_app
from ingest_service.settings import IngestSettings, UploadSettings, ValidationSettings
from ingest_service.worker import start
from radrelay_shared.database import Database, DatabaseSettings
from radrelay_shared.messaging import NatsSettings, connect, ensure_topology
from radrelay_shared.objects import S3ObjectStore
from support.ingest_api import IngestUser
from support.stack import Infrastructure, ProvisionedDatabases
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


@asynccontextmanager
async def _serve(settings: IngestSettings) -> AsyncIterator[str]:
    """The API on a free port of loopback."""
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings), host="127.0.0.1", port=0, log_config=None, timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            assert not serving.done()
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@pytest.fixture(scope="session")
async def service(settings: IngestSettings) -> AsyncIterator[str]:
    """The API's address."""
    async with _serve(settings) as address:
        yield address


@pytest.fixture
def serving(settings: IngestSettings) -> Callable[..., AbstractAsyncContextManager[str]]:
    """Runs another API, with settings changed as given, while the block runs."""
    return lambda **changes: _serve(settings.model_copy(update=changes))


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
