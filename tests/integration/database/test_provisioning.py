"""Roles and schemas made by an administrator who is no superuser, as on a managed database."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import make_url

from radrelay_shared.database import DatabaseSettings, Scope
from radrelay_shared.database.migrations import migrate
from radrelay_shared.database.prepare import prepare_database
from radrelay_shared.database.provision import ROLES, provision_service
from report_service.adapters.postgres import PostgresReportStore
from report_service.handlers import persist_report
from support.database_server import PostgresAlone
from support.events import RECEIVED_AT, inference_completed
from support.tenants import new_tenant

SERVICE = "report"


@pytest.fixture(scope="module")
async def superuser_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Of a new server: roles are the whole server's, and other tests have made some."""
    server = PostgresAlone(tmp_path_factory.mktemp("managed-postgres"))
    await asyncio.to_thread(server.up)
    yield server.postgres_admin_url
    await asyncio.to_thread(server.down)


@pytest.fixture(scope="module")
async def managed_url(superuser_url: str) -> str:
    """Of an administrator who may make roles and owns the database, and may no more."""
    await execute(superuser_url, "CREATE ROLE manager LOGIN CREATEROLE CREATEDB PASSWORD 'managed'")
    await execute(superuser_url, "CREATE DATABASE managed OWNER manager")
    url = make_url(superuser_url).set(username="manager", password="managed", database="managed")
    return url.render_as_string(hide_password=False)


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def provision(url: str, password: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await provision_service(connection, SERVICE, dict.fromkeys(ROLES, password))
    finally:
        await connection.close()


def role_url(url: str, role: str, password: str) -> str:
    changed = make_url(url).set(drivername="postgresql+asyncpg", username=f"{SERVICE}_{role}", password=password)
    return changed.render_as_string(hide_password=False)


async def test_an_administrator_who_is_no_superuser_is_enough_and_may_provision_again(managed_url: str) -> None:
    for password in ("first", "second"):
        await provision(managed_url, password)
    await asyncio.to_thread(migrate, "report_service", role_url(managed_url, "owner", "second"))
    settings = DatabaseSettings.model_validate({"app_url": role_url(managed_url, "app", "second")})
    event = inference_completed(tenant=new_tenant())
    async with settings.app() as database:
        store = PostgresReportStore(database)
        _, report = await persist_report(event, reports=store, now=lambda: RECEIVED_AT)
        async with store.transaction(Scope.service(event.tenant)) as unit:
            assert await unit.find(report.report_id)
        async with store.transaction(Scope.service(new_tenant())) as unit:
            assert await unit.find(report.report_id) is None


async def test_a_role_that_may_bypass_row_security_is_not_left_so(superuser_url: str, managed_url: str) -> None:
    await provision(managed_url, "secret")
    await execute(superuser_url, "ALTER ROLE report_app BYPASSRLS")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await provision(managed_url, "secret")
    managed = make_url(superuser_url).set(database="managed").render_as_string(hide_password=False)
    await provision(managed, "secret")
    connection = await asyncpg.connect(superuser_url)
    try:
        assert await connection.fetchval("SELECT rolbypassrls FROM pg_roles WHERE rolname = 'report_app'") is False
    finally:
        await connection.close()


def addresses(url: str, password: str) -> dict[str, str]:
    return {f"{role}_url": role_url(url, role, password) for role in ROLES} | {"admin_url": url}


async def test_a_database_is_prepared_from_nothing_and_again_with_other_passwords(superuser_url: str) -> None:
    await execute(superuser_url, "CREATE DATABASE prepared")
    url = make_url(superuser_url).set(database="prepared").render_as_string(hide_password=False)
    for password in ("first", "second"):
        settings = DatabaseSettings.model_validate(addresses(url, password))
        await asyncio.to_thread(prepare_database, SERVICE, settings)
    async with settings.app() as database, PostgresReportStore(database).transaction(Scope.service(new_tenant())):
        pass


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"owner_url": None}, "DATABASE__OWNER_URL"),
        ({"system_url": None}, "DATABASE__SYSTEM_URL"),
        ({"app_url": "postgresql+asyncpg://report_system:secret@db/radrelay"}, "report_app"),
        ({"app_url": "postgresql+asyncpg://report_app@db/radrelay"}, "a password"),
    ],
)
def test_an_address_that_is_missing_or_anothers_is_named(change: dict[str, str | None], message: str) -> None:
    given = addresses("postgresql://admin:secret@db/radrelay", "secret") | change
    with pytest.raises(ValueError, match=message):
        prepare_database(SERVICE, DatabaseSettings.model_validate(given))
