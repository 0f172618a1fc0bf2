import asyncio

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from ingest_service.adapters.tables import Base
from radrelay_shared.database.migrations import migrate
from support.databases import dsn, migrated, new_database
from support.stack import Infrastructure


def _differences(connection: Connection) -> list[object]:
    def ours(_: object, name: str | None, kind: str, *__: object) -> bool:
        return kind != "schema" or name == "ingest"

    context = MigrationContext.configure(
        connection,
        opts={"include_schemas": True, "include_name": lambda name, kind, _: ours(None, name, kind)},
    )
    found = compare_metadata(context, Base.metadata)
    # The version table is Alembic's; the two partial indexes over time serve the relay and the sweeper only.
    own = {"alembic_version", "ix_outbox_unpublished", "ix_batch_open"}
    return [each for each in found if getattr(each[1], "name", None) not in own]


async def test_the_migrations_make_the_mapped_tables_down_and_up_again(infra: Infrastructure) -> None:
    address = await new_database(infra.postgres_admin_url)
    database = await migrated(address, "ingest")
    assert database.owner_url is not None
    owner_url = database.owner_url.get_secret_value()
    engine = create_async_engine(owner_url)
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(_differences) == []
    finally:
        await engine.dispose()

    await asyncio.to_thread(migrate, "ingest_service", owner_url, "base")
    admin = await asyncpg.connect(dsn(database.owner_url))
    try:
        left = await admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'ingest'")
        functions = await admin.fetchval("SELECT count(*) FROM pg_proc WHERE pronamespace = 'ingest'::regnamespace")
    finally:
        await admin.close()
    assert {row["tablename"] for row in left} <= {"alembic_version"}
    assert functions == 0
    await asyncio.to_thread(migrate, "ingest_service", owner_url)
