import asyncio
from typing import Any

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from dashboard_service.adapters.tables import Base
from radrelay_shared.database import DatabaseSettings
from radrelay_shared.database.migrations import migrate
from support.databases import dsn, new_database, provisioned
from support.stack import Infrastructure

TABLES = {
    "cases",
    "failures",
    "generations",
    "case_rollups",
    "probability_rollups",
    "turnaround_rollups",
    "failure_rollups",
    "inbox",
}


async def test_the_schema_goes_up_down_and_up_again(infra: Infrastructure) -> None:
    settings = await provisioned(await new_database(infra.postgres_admin_url), "dashboard")
    assert settings.owner_url is not None
    for revision, tables in (("head", TABLES), ("base", set()), ("head", TABLES)):
        await asyncio.to_thread(migrate, "dashboard_service", settings.owner_url.get_secret_value(), revision)
        assert await tables_of(settings) - {"alembic_version"} == tables


async def tables_of(settings: DatabaseSettings) -> set[str]:
    connection = await asyncpg.connect(dsn(settings.owner_url))
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'dashboard'")
    finally:
        await connection.close()
    return {row["tablename"] for row in rows}


async def test_the_mapped_columns_are_the_migrated_ones(dashboard_database: DatabaseSettings) -> None:
    def differences(connection: Connection) -> list[Any]:
        options = {"include_schemas": True, "include_name": in_schema, "version_table_schema": "dashboard"}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))

    assert dashboard_database.owner_url is not None
    engine = create_async_engine(dashboard_database.owner_url.get_secret_value())
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()
    assert found == []


def in_schema(name: str | None, kind: str, _: Any) -> bool:
    return kind != "schema" or name == "dashboard"
