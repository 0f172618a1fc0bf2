from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr

from radrelay_shared.database import Database, DatabaseSettings
from radrelay_shared.messaging import NatsSettings
from radrelay_shared.objects import S3ObjectStore
from report_service.main import create_app
from report_service.settings import LinkSettings, ReportSettings
from support.asgi import serving
from support.stack import Infrastructure, ProvisionedDatabases
from support.tokens import TestIssuer


@pytest.fixture(scope="session")
def report_database(provisioned: ProvisionedDatabases) -> DatabaseSettings:
    """Addresses of the migrated schema `report`."""
    return provisioned("report")


@pytest.fixture(scope="session")
async def database(report_database: DatabaseSettings) -> AsyncIterator[Database]:
    """The runtime role's database."""
    async with Database(report_database.app_url) as opened:
        yield opened


@pytest.fixture(scope="session")
async def system(report_database: DatabaseSettings) -> AsyncIterator[Database]:
    """The system role's database."""
    assert report_database.system_url is not None
    async with Database(report_database.system_url) as opened:
        yield opened


@pytest.fixture(scope="session")
async def objects(infra: Infrastructure) -> AsyncIterator[S3ObjectStore]:
    async with S3ObjectStore(infra.objects) as store:
        yield store


@pytest.fixture(scope="session")
def settings(infra: Infrastructure, report_database: DatabaseSettings, issuer: TestIssuer) -> ReportSettings:
    return ReportSettings(
        nats=NatsSettings(url=infra.nats_url),
        objects=infra.objects,
        database=report_database,
        auth=issuer.settings,
        links=LinkSettings(keys=(SecretStr("a key that no installation has, 1234"),)),
    )


@pytest.fixture(scope="module")
async def client(settings: ReportSettings) -> AsyncIterator[httpx.AsyncClient]:
    """The API, with these settings."""
    async with serving(create_app(settings)) as opened:
        yield opened
