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

_A_CANCELLED_IMAGE = """
    INSERT INTO ingest.batch (tenant, batch_id, owner_id, priority, created_at)
    VALUES ('north', gen_random_uuid(), 'dr-a', 'routine', now());
    INSERT INTO ingest.instance (
        tenant, instance_id, owner_id, batch_id, sop_instance_uid, sop_class_uid, study_instance_uid,
        series_instance_uid, modality, transfer_syntax_uid, rows, columns, frames, object_key, size_bytes, sha256,
        priority, received_at, status, status_at
    )
    SELECT tenant, gen_random_uuid(), owner_id, batch_id, '1', '1', '1', '1', 'CT', '1', 1, 1, 1, 'k', 1, 's',
        priority, now(), 'cancelled', now()
    FROM ingest.batch
"""
"""What the older schema has no word for."""


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

    admin = await asyncpg.connect(address)
    try:
        await admin.execute(_A_CANCELLED_IMAGE)
    finally:
        await admin.close()
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
