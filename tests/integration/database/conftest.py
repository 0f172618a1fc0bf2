from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from radrelay_local.parts import postgres
from radrelay_shared.database import DatabaseSettings
from support.applications import LISTS
from support.certificates import Authority
from support.database_server import HOST, PostgresAlone, pooled, run_pgbouncer, tls_before, verified
from support.stack import Infrastructure, ProvisionedDatabases


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signed the database's certificate."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> tuple[Path, Path]:
    """The database's certificate and key."""
    return authority.issue(HOST)


@pytest.fixture(scope="session")
async def tls_port(infra: Infrastructure, certificate: tuple[Path, Path]) -> AsyncIterator[int]:
    """Where the server is spoken to with TLS alone."""
    async with tls_before(infra.ports[postgres.NAME], *certificate) as port:
        yield port


@pytest.fixture(scope="session")
def direct(provisioned: ProvisionedDatabases, authority: Authority, tls_port: int) -> dict[str, DatabaseSettings]:
    """Each service's own database, reached by TLS and without a pooler."""
    return {service: verified(provisioned(service), tls_port, authority.certificate) for service in LISTS}


@pytest.fixture(scope="session")
def through_pooler(
    infra: Infrastructure, direct: dict[str, DatabaseSettings], certificate: tuple[Path, Path]
) -> Iterator[dict[str, DatabaseSettings]]:
    """The same databases through PgBouncer in transaction mode."""
    urls = [
        make_url(str(url.get_secret_value()))
        for each in direct.values()
        for url in (each.app_url, each.system_url)
        if url
    ]
    passwords = {str(url.username): str(url.password) for url in urls}
    with run_pgbouncer(infra.ports[postgres.NAME], passwords, *certificate) as port:
        yield {service: pooled(settings, port) for service, settings in direct.items()}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresAlone]:
    """A server that these tests may end."""
    with PostgresAlone(tmp_path_factory.mktemp("postgres-alone")).started() as postgres_alone:
        yield postgres_alone
