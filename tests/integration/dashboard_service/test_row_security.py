"""What the database itself refuses, whatever the code forgets."""

from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from dashboard_service.adapters.counting import PostgresCountStore
from dashboard_service.handlers.counting import count_event
from dashboard_service.settings import TimeZones
from radrelay_shared.database import Database, DatabaseSettings, Scope
from support.databases import dsn
from support.events import inference_failed, report_created
from support.tenants import new_tenant

ROLLUPS = ("case_rollups", "probability_rollups", "turnaround_rollups", "failure_rollups")
TABLES = (*ROLLUPS, "cases", "failures")


async def fill(database: Database, tenant: str) -> None:
    """One case and one failure for each of two owners."""
    counts = PostgresCountStore(database, TimeZones())
    for owner in ("dr-a", "dr-b"):
        for event in (report_created(tenant=tenant, owner_id=owner), inference_failed(tenant=tenant, owner_id=owner)):
            await count_event(event, consumer="tests", counts=counts)


async def raw(database: Database, scope: Scope, statement: str) -> list[Any]:
    """What a statement without any condition gives under a scope."""
    async with database.transaction(scope) as session:
        return list((await session.execute(text(statement))).scalars())


@pytest.mark.parametrize("table", TABLES)
async def test_a_forgotten_where_shows_nothing_of_others(database: Database, table: str) -> None:
    tenant = new_tenant()
    await fill(database, tenant)
    everything = f"SELECT DISTINCT owner_id FROM dashboard.{table} ORDER BY owner_id"
    assert await raw(database, Scope(tenant, "dr-a", "clinician"), everything) == ["dr-a"]
    assert await raw(database, Scope(tenant, "dr-c", "clinician"), everything) == []
    of_the_tenant = [""] if table in ROLLUPS else []
    assert await raw(database, Scope(tenant, "boss", "tenant_admin"), everything) == [*of_the_tenant, "dr-a", "dr-b"]
    assert await raw(database, Scope(new_tenant(), "dr-a", "tenant_admin"), everything) == []


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("column", ["tenant", "owner_id"])
async def test_a_row_cannot_be_moved_to_others(database: Database, table: str, column: str) -> None:
    tenant = new_tenant()
    await fill(database, tenant)
    with pytest.raises(DBAPIError, match="row-level security"):
        await raw(
            database,
            Scope(tenant, "dr-a", "clinician"),
            f"UPDATE dashboard.{table} SET {column} = '{new_tenant()}' RETURNING owner_id",
        )


@pytest.mark.parametrize("table", TABLES)
async def test_an_update_without_a_where_reaches_nothing_of_others(database: Database, table: str) -> None:
    tenant = new_tenant()
    await fill(database, tenant)
    scope = Scope(tenant, "dr-a", "clinician")
    reached = await raw(database, scope, f"UPDATE dashboard.{table} SET tenant = tenant RETURNING owner_id")
    assert set(reached) == {"dr-a"}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM dashboard.inbox RETURNING tenant",
        "ALTER TABLE dashboard.case_rollups NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY case_rollups_app ON dashboard.case_rollups",
        "SET LOCAL ROLE dashboard_owner",
    ],
)
async def test_the_runtime_role_cannot_forget_events_nor_change_the_guard(database: Database, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        await raw(database, Scope.service(new_tenant()), statement)


async def test_every_table_with_a_tenant_forces_row_security(database: Database) -> None:
    async with database.engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS forced FROM pg_class c"
                " WHERE c.relnamespace = 'dashboard'::regnamespace AND c.relkind IN ('r', 'p')"
            )
        )
        tables = {row.relname: row.forced for row in rows}
    assert tables.pop("alembic_version") is False
    assert set(tables) == {*TABLES, "generations", "inbox"}
    assert all(tables.values())


@pytest.mark.parametrize("table", [*TABLES, "generations", "inbox"])
async def test_even_the_owner_of_the_tables_sees_no_row(
    database: Database, dashboard_database: DatabaseSettings, table: str
) -> None:
    await fill(database, new_tenant())
    connection = await asyncpg.connect(dsn(dashboard_database.owner_url))
    try:
        assert await connection.fetchval(f"SELECT count(*) FROM dashboard.{table}") == 0
    finally:
        await connection.close()
