from collections.abc import AsyncIterator

import pytest

from dashboard_service.settings import DashboardSettings
from radrelay_shared.database import Database, DatabaseSettings
from radrelay_shared.messaging import NatsSettings
from support.stack import Infrastructure, ProvisionedDatabases
from support.tokens import TestIssuer


@pytest.fixture(scope="session")
def dashboard_database(provisioned: ProvisionedDatabases) -> DatabaseSettings:
    """Addresses of the migrated schema `dashboard`."""
    return provisioned("dashboard")


@pytest.fixture(scope="session")
async def database(dashboard_database: DatabaseSettings) -> AsyncIterator[Database]:
    """The runtime role's database."""
    async with Database(dashboard_database.app_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def settings(infra: Infrastructure, dashboard_database: DatabaseSettings, issuer: TestIssuer) -> DashboardSettings:
    return DashboardSettings(nats=NatsSettings(url=infra.nats_url), database=dashboard_database, auth=issuer.settings)
