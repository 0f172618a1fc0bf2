import asyncio
from typing import Any

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from radrelay_shared.database import DatabaseSettings
from radrelay_shared.database.migrations import migrate
from report_service.adapters.tables import Base
from support.databases import dsn, new_database, provisioned
from support.stack import Infrastructure

TABLES = {"reports", "outbox", "inbox"}


async def test_the_schema_goes_up_down_and_up_again(infra: Infrastructure) -> None:
    settings = await provisioned(await new_database(infra.postgres_admin_url), "report")
    assert settings.owner_url is not None
    for revision, tables in (("head", TABLES), ("base", set()), ("head", TABLES)):
        await asyncio.to_thread(migrate, "report_service", settings.owner_url.get_secret_value(), revision)
        assert await tables_of(settings) - {"alembic_version"} == tables


async def tables_of(settings: DatabaseSettings) -> set[str]:
    connection = await asyncpg.connect(dsn(settings.owner_url))
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'report'")
    finally:
        await connection.close()
    return {row["tablename"] for row in rows}


async def test_the_mapped_columns_are_the_migrated_ones(report_database: DatabaseSettings) -> None:
    def differences(connection: Connection) -> list[Any]:
        options = {"include_schemas": True, "include_name": in_schema, "version_table_schema": "report"}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))

    assert report_database.owner_url is not None
    engine = create_async_engine(report_database.owner_url.get_secret_value())
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()
    # Indexes and constraints are the migrations' own; the models say nothing of them.
    own = [each for each in found if isinstance(each, tuple) and each[0] in {"remove_index", "remove_constraint"}]
    assert [each for each in found if each not in own] == []


def in_schema(name: str | None, kind: str, _: Any) -> bool:
    return kind != "schema" or name == "report"
