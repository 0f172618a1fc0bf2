"""The server's certificate is checked on every connection, and nothing is sent to a server that has another."""

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from radrelay_local.parts import postgres
from radrelay_shared.database import DatabaseSettings, Scope, is_database_outage
from radrelay_shared.database.migrations import migrate
from support import databases
from support.certificates import Authority
from support.database_server import verified
from support.stack import Infrastructure, ProvisionedDatabases
from support.tenants import new_tenant


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """An authority that signed nothing here."""
    return Authority(tmp_path).certificate


async def test_a_server_that_is_who_it_says_is_spoken_to(direct: dict[str, DatabaseSettings]) -> None:
    async with direct["report"].app() as database:
        await database.ready()
        listening = await database.connect_to_listen()
        await listening.close()


async def refuses(settings: DatabaseSettings) -> None:
    """Neither a request nor LISTEN gets a connection, and what a request gets is an outage: 503."""
    async with settings.app() as database:
        with pytest.raises(OSError, match=r"certificate verify failed|SSL") as refused:
            await database.ready()
        assert is_database_outage(refused.value)
        with pytest.raises(OSError, match=r"certificate verify failed|SSL"):
            await database.connect_to_listen()


async def test_a_certificate_of_another_authority_is_refused(
    direct: dict[str, DatabaseSettings], stranger: Path
) -> None:
    await refuses(direct["report"].model_copy(update={"sslrootcert": stranger}))


async def test_a_certificate_that_no_authority_of_the_system_signed_is_refused(
    direct: dict[str, DatabaseSettings],
) -> None:
    await refuses(direct["report"].model_copy(update={"sslrootcert": None}))


async def test_a_certificate_of_another_host_is_refused(direct: dict[str, DatabaseSettings]) -> None:
    address = SecretStr(direct["report"].app_url.get_secret_value().replace("localhost", "127.0.0.1"))
    await refuses(direct["report"].model_copy(update={"app_url": address}))


async def test_a_server_without_tls_is_refused(
    infra: Infrastructure, provisioned: ProvisionedDatabases, authority: Authority
) -> None:
    await refuses(verified(provisioned("report"), infra.ports[postgres.NAME], authority.certificate))


async def test_migrations_check_the_certificate_too(
    infra: Infrastructure, tls_port: int, authority: Authority, stranger: Path
) -> None:
    empty = await databases.provisioned(await databases.new_database(infra.postgres_admin_url), "dashboard")
    settings = verified(empty, tls_port, authority.certificate)
    assert settings.owner_url is not None
    owner_url = settings.owner_url.get_secret_value()
    unknown = settings.model_copy(update={"sslrootcert": stranger})
    with pytest.raises(OSError, match="certificate verify failed"):
        await asyncio.to_thread(migrate, "dashboard_service", owner_url, tls=unknown.tls())
    await asyncio.to_thread(migrate, "dashboard_service", owner_url, tls=settings.tls())
    async with settings.app() as database, database.transaction(Scope.service(new_tenant())) as session:
        assert await session.scalar(text("SELECT count(*) FROM dashboard.inbox")) == 0
