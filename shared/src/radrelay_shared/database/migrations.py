"""What every service's Alembic migrations share: the environment, row security, outbox, inbox, audit chain.

Migrations that were released call these, so what they do never changes: a new column is a new function and a new
revision in each service.
"""

import asyncio
from ssl import SSLContext
from typing import Any

import sqlalchemy as sa
from alembic import command, context, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, inspect, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

_MIGRATION_LOCK = 7_274_653


def migrate(package: str, owner_url: str, revision: str = "head", *, tls: SSLContext | None = None) -> None:
    """Bring the schema of the service `package` to `revision`, upwards or downwards.

    `owner_url` is the address of the role that owns the schema, `tls` what to check the server's certificate with.
    """
    config = _config(package)
    config.attributes["url"] = owner_url
    config.attributes["connect_args"] = {} if tls is None else {"ssl": tls}
    if revision == "base":
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)


def revisions(package: str) -> tuple[str, frozenset[str]]:
    """The newest revision that the service `package` brings, and all those before it."""
    scripts = ScriptDirectory.from_config(_config(package))
    newest = scripts.get_current_head()
    if newest is None:
        raise ValueError(f"{package} has no migrations")
    return newest, frozenset(script.revision for script in scripts.walk_revisions()) - {newest}


def _config(package: str) -> Config:
    config = Config()
    config.set_main_option("script_location", f"{package}:migrations")
    return config


def run_environment(metadata: MetaData) -> None:
    """The whole of a service's `env.py`: run migrations online, one runner at a time, versions in its own schema."""

    def apply(connection: Connection) -> None:
        context.configure(connection=connection, target_metadata=metadata, version_table_schema=metadata.schema)
        with context.begin_transaction():
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock, hashtext(:schema))"), _lock(metadata))
            context.run_migrations()
            # What processes that wait for their schema look at, as the runtime role.
            if inspect(connection).has_table("alembic_version", schema=metadata.schema):
                connection.execute(text(f"GRANT SELECT ON {metadata.schema}.alembic_version TO {metadata.schema}_app"))

    async def run() -> None:
        given = context.config.attributes
        engine = create_async_engine(given["url"], poolclass=pool.NullPool, connect_args=given["connect_args"])
        async with engine.connect() as connection:
            await connection.run_sync(apply)
            await connection.commit()
        await engine.dispose()

    asyncio.run(run())


def _lock(metadata: MetaData) -> dict[str, int | str]:
    return {"lock": _MIGRATION_LOCK, "schema": metadata.schema or ""}


def enable_row_security(schema: str, table: str, *, by_owner: bool, app: str, system: str | None = None) -> None:
    """Force row security on a table and grant the runtime roles what they need.

    Args:
        schema: the service's schema, which also names its roles.
        table: the table; it has a `tenant` column, and `owner_id` where `by_owner`.
        by_owner: whether a clinician sees only rows of their own.
        app: privileges of the runtime role, such as `"SELECT, INSERT"`; its rows are those of the current tenant.
        system: privileges of the system role, which sees every tenant; None for no access.
    """
    where = "tenant = current_setting('radrelay.tenant', true)"
    if by_owner:
        where += (
            " AND (owner_id = current_setting('radrelay.owner', true)"
            " OR current_setting('radrelay.role', true) IN ('tenant_admin', 'service'))"
        )
    name = f"{schema}.{table}"
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    op.execute(f"GRANT {app} ON {name} TO {schema}_app")
    op.execute(f"CREATE POLICY {table}_app ON {name} TO {schema}_app USING ({where}) WITH CHECK ({where})")
    if system is not None:
        op.execute(f"GRANT {system} ON {name} TO {schema}_system")
        op.execute(f"CREATE POLICY {table}_system ON {name} TO {schema}_system USING (true) WITH CHECK (true)")


def create_outbox(schema: str) -> None:
    """Create an outbox table: the runtime role adds rows of its tenant, the relay sees and marks all."""
    op.create_table(
        "outbox",
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("traceparent", sa.Text),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
        sa.Column("published_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_outbox")),
        schema=schema,
    )
    op.execute(f"CREATE INDEX ix_outbox_unpublished ON {schema}.outbox (created_at) WHERE published_at IS NULL")
    enable_row_security(schema, "outbox", by_owner=False, app="INSERT", system="SELECT, UPDATE, DELETE")


def create_inbox(schema: str) -> None:
    """Create an inbox table: consumers see and add the rows of the tenant they work for."""
    op.create_table(
        "inbox",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("received_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("tenant", "consumer", "event_id", name=op.f("pk_inbox")),
        schema=schema,
    )
    enable_row_security(schema, "inbox", by_owner=False, app="SELECT, INSERT")


def create_audit_chain(schema: str, *further: sa.Column[Any]) -> None:
    """Create an append-only audit chain and the table of its published heads.

    Args:
        schema: the service's schema, which also names its roles.
        further: columns for what this service's facts name beside batch, image and file.
    """
    op.create_table(
        "audit",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("batch_id", sa.Uuid),
        sa.Column("instance_id", sa.Uuid),
        sa.Column("fingerprint", sa.Text),
        sa.Column("reason", sa.Text),
        *further,
        sa.Column("prev_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sequence", name=op.f("pk_audit")),
        schema=schema,
    )
    # The chain is the tenant's: whoever appends to it needs its newest record, whoever wrote that.
    enable_row_security(schema, "audit", by_owner=False, app="SELECT, INSERT")
    # The worker sees of each tenant's chain how long it is, and nothing of what is in it.
    op.execute(f"GRANT SELECT (tenant, sequence) ON {schema}.audit TO {schema}_system")
    op.execute(f"CREATE POLICY audit_system ON {schema}.audit FOR SELECT TO {schema}_system USING (true)")
    op.execute(
        f"CREATE FUNCTION {schema}.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the audit chain is append-only'; END $$"
    )
    # For each statement: it refuses also where no row is seen, as by the owner, from whom row security hides them all.
    op.execute(
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.audit"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_audit_change()"
    )
    # Also in a session that replays a replication stream.
    op.execute(f"ALTER TABLE {schema}.audit ENABLE ALWAYS TRIGGER append_only")
    op.create_table(
        "audit_head",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("published_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_audit_head")),
        schema=schema,
    )
    enable_row_security(schema, "audit_head", by_owner=False, app="SELECT, INSERT, UPDATE", system="SELECT")


def drop_audit_chain(schema: str) -> None:
    """Undo `create_audit_chain`."""
    for table in ("audit_head", "audit"):
        op.drop_table(table, schema=schema)
    op.execute(f"DROP FUNCTION {schema}.refuse_audit_change()")
