"""A service's roles, schema and tables on a real PostgreSQL, made as production makes them."""

import asyncio
from uuid import uuid4

import asyncpg
from pydantic import SecretStr
from sqlalchemy import make_url

from radrelay_shared.database import DatabaseSettings
from radrelay_shared.database.migrations import migrate
from radrelay_shared.database.provision import ROLES, provision_service


async def migrated(admin_url: str, service: str) -> DatabaseSettings:
    """The addresses of a service whose schema is at its newest revision; safe to ask for again."""
    settings = await provisioned(admin_url, service)
    assert settings.owner_url is not None
    # Alembic starts an event loop of its own.
    await asyncio.to_thread(migrate, f"{service}_service", settings.owner_url.get_secret_value())
    return settings


async def provisioned(admin_url: str, service: str) -> DatabaseSettings:
    """The addresses of a service that has its roles and an empty schema."""
    passwords = {role: f"{service}-{role}-test" for role in ROLES}
    connection = await asyncpg.connect(admin_url)
    try:
        await provision_service(connection, service, passwords)
    finally:
        await connection.close()

    def address(role: str) -> SecretStr:
        url = make_url(admin_url).set(
            drivername="postgresql+asyncpg", username=f"{service}_{role}", password=passwords[role]
        )
        return SecretStr(url.render_as_string(hide_password=False))

    return DatabaseSettings(app_url=address("app"), system_url=address("system"), owner_url=address("owner"))


async def new_database(admin_url: str) -> str:
    """The administrator's address of a new, empty database on the same server."""
    name = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return make_url(admin_url).set(database=name).render_as_string(hide_password=False)


def dsn(url: SecretStr | None) -> str:
    """An address in the form that asyncpg itself takes."""
    assert url is not None
    return url.get_secret_value().replace("postgresql+asyncpg://", "postgresql://", 1)
