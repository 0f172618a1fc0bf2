"""What the database itself refuses, whatever the code forgets."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from radrelay_shared.database import Database, DatabaseSettings, Scope
from radrelay_shared.database.session import ScopeRole
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.report import Report
from report_service.handlers import persist_report
from support.databases import dsn
from support.destinations import failing_destination
from support.events import inference_completed
from support.tenants import new_tenant


async def persist(database: Database, **changes: Any) -> Report:
    store = PostgresReportStore(database)
    _, report = await persist_report(inference_completed(**changes), reports=store, now=lambda: datetime.now(UTC))
    return report


async def raw(database: Database, scope: Scope, statement: str, **parameters: Any) -> Sequence[Any]:
    """What a statement without any condition gives under a scope."""
    async with database.transaction(scope) as session:
        return (await session.execute(text(statement), parameters)).scalars().all()


async def test_a_forgotten_where_shows_nothing_of_others(database: Database) -> None:
    tenant, other = new_tenant(), new_tenant()
    own = await persist(database, tenant=tenant, owner_id="dr-a")
    colleagues = await persist(database, tenant=tenant, owner_id="dr-b")
    everything = "SELECT report_id FROM report.reports"
    assert await raw(database, Scope(tenant, "dr-a", "clinician"), everything) == [own.report_id]
    assert await raw(database, Scope(tenant, "dr-c", "clinician"), everything) == []
    assert await raw(database, Scope(other, "dr-a", "tenant_admin"), everything) == []
    assert set(await raw(database, Scope(tenant, "boss", "tenant_admin"), everything)) == {
        own.report_id,
        colleagues.report_id,
    }


async def test_without_a_scope_there_is_nothing(database: Database) -> None:
    await persist(database, tenant=new_tenant())
    async with database.engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM report.reports"))).scalar_one() == 0
        assert (await connection.execute(text("SELECT count(*) FROM report.inbox"))).scalar_one() == 0


async def test_the_inbox_and_the_outbox_of_another_tenant_stay_closed(database: Database) -> None:
    tenant, other = new_tenant(), new_tenant()
    await persist(database, tenant=tenant)
    assert len(await raw(database, Scope.service(tenant), "SELECT event_id FROM report.inbox")) == 1
    assert await raw(database, Scope.service(other), "SELECT event_id FROM report.inbox") == []
    with pytest.raises(ProgrammingError, match="permission denied"):
        await raw(database, Scope.service(tenant), "SELECT event_id FROM report.outbox")


@pytest.mark.parametrize("column", ["tenant", "owner_id"])
async def test_a_row_cannot_be_written_for_others(database: Database, column: str) -> None:
    tenant = new_tenant()
    report = await persist(database, tenant=tenant, owner_id="dr-a")
    changes = f"jsonb_build_object('report_id', gen_random_uuid(), '{column}', '{new_tenant()}')"
    with pytest.raises(DBAPIError, match="row-level security"):
        await raw(
            database,
            Scope(tenant, "dr-a", "clinician"),
            f"INSERT INTO report.reports SELECT (jsonb_populate_record(r, {changes})).*"
            " FROM report.reports r WHERE report_id = :report_id RETURNING tenant",
            report_id=report.report_id,
        )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE report.reports SET probability = 0 RETURNING tenant",
        "TRUNCATE report.reports",
        "ALTER TABLE report.reports NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE report.reports DISABLE ROW LEVEL SECURITY",
        "DROP POLICY reports_app ON report.reports",
        "SET LOCAL ROLE report_owner",
        "SET LOCAL ROLE report_system",
        "CREATE TABLE report.copy AS SELECT * FROM report.reports",
    ],
)
async def test_the_runtime_role_can_change_neither_reports_nor_their_guard(database: Database, statement: str) -> None:
    tenant = new_tenant()
    await persist(database, tenant=tenant)
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        await raw(database, Scope.service(tenant), statement)


@pytest.mark.parametrize("role", ["clinician", "tenant_admin", "service"])
async def test_no_report_is_deleted_that_is_not_noted_as_erased(database: Database, role: ScopeRole) -> None:
    tenant = new_tenant()
    await persist(database, tenant=tenant)
    assert await raw(database, Scope(tenant, "dr-a", role), "DELETE FROM report.reports RETURNING tenant") == []
    assert len(await raw(database, Scope.service(tenant), "SELECT tenant FROM report.reports")) == 1


async def test_destinations_of_another_tenant_and_what_is_on_its_way_to_them_stay_closed(database: Database) -> None:
    tenant, other = new_tenant(), new_tenant()
    await failing_destination(database, tenant)
    for table in ("destinations", "deliveries"):
        everything = f"SELECT tenant FROM report.{table}"
        assert await raw(database, Scope(tenant, "boss", "tenant_admin"), everything) == [tenant]
        assert await raw(database, Scope(other, "boss", "tenant_admin"), everything) == []


@pytest.mark.parametrize("column", ["url", "secret_sealed", "tenant"])
async def test_who_sends_changes_neither_where_to_nor_what_is_signed_with(system: Database, column: str) -> None:
    async with system.system_transaction() as session:
        with pytest.raises(ProgrammingError, match="permission denied"):
            await session.execute(text(f"UPDATE report.destinations SET {column} = {column}"))


async def test_the_runtime_roles_are_plain(database: Database) -> None:
    async with database.engine.connect() as connection:
        roles = await connection.execute(
            text(
                "SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb AS powerful,"
                " (SELECT count(*) FROM pg_class c WHERE c.relowner = r.oid) AS owned,"
                " (SELECT count(*) FROM pg_auth_members m WHERE m.member = r.oid) AS memberships"
                " FROM pg_roles r WHERE rolname IN ('report_app', 'report_system')"
            )
        )
        found = {row.rolname: (row.powerful, row.owned, row.memberships) for row in roles}
        assert found == {"report_app": (False, 0, 0), "report_system": (False, 0, 0)}


async def test_every_table_with_a_tenant_forces_row_security(database: Database) -> None:
    async with database.engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS forced FROM pg_class c"
                " WHERE c.relnamespace = 'report'::regnamespace AND c.relkind IN ('r', 'p')"
            )
        )
        tables = {row.relname: row.forced for row in rows}
    assert tables.pop("alembic_version") is False
    assert set(tables) == {
        "reports",
        "reviews",
        "destinations",
        "deliveries",
        "erasures",
        "erased_marks",
        "erasure_leftovers",
        "studies",
        "series",
        "instances",
        "kinds",
        "audit",
        "audit_head",
        "inbox",
        "outbox",
    }
    assert all(tables.values())


async def test_even_the_owner_of_the_tables_sees_no_row(database: Database, report_database: DatabaseSettings) -> None:
    await persist(database, tenant=new_tenant())
    connection = await asyncpg.connect(dsn(report_database.owner_url))
    try:
        assert await connection.fetchval("SELECT count(*) FROM report.reports") == 0
    finally:
        await connection.close()


async def test_the_system_role_sees_the_outbox_and_no_report(
    database: Database, report_database: DatabaseSettings
) -> None:
    await persist(database, tenant=new_tenant())
    connection = await asyncpg.connect(dsn(report_database.system_url))
    try:
        assert await connection.fetchval("SELECT count(*) FROM report.outbox") > 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetchval("SELECT count(*) FROM report.reports")
    finally:
        await connection.close()


async def test_the_scope_does_not_stay_on_the_connection(report_database: DatabaseSettings) -> None:
    tenant = new_tenant()
    async with Database(report_database.app_url, pool_size=1, max_overflow=0) as database:
        await persist(database, tenant=tenant)

        async def backend_and_scope() -> tuple[int, str]:
            async with database.engine.connect() as connection:
                row = await connection.execute(
                    text(
                        "SELECT pg_backend_pid(), concat(current_setting('radrelay.tenant', true),"
                        " current_setting('radrelay.owner', true), current_setting('radrelay.role', true))"
                    )
                )
                pid, scope = row.one()
                return pid, scope

        async with database.transaction(Scope(tenant, "dr-a", "clinician")) as session:
            (used,) = await session.execute(text("SELECT pg_backend_pid()"))
        assert await backend_and_scope() == (used[0], "")
        with pytest.raises(ConnectionError):
            await _fail_within(database, Scope(tenant, "dr-a", "clinician"))
        assert await backend_and_scope() == (used[0], "")


async def _fail_within(database: Database, scope: Scope) -> None:
    async with database.transaction(scope):
        raise ConnectionError


async def test_concurrent_scopes_on_few_connections_do_not_mix(report_database: DatabaseSettings) -> None:
    async with Database(report_database.app_url, pool_size=2, max_overflow=0) as database:
        own: dict[str, Any] = {}
        for _ in range(8):
            tenant = new_tenant()
            own[tenant] = (await persist(database, tenant=tenant)).report_id

        async def look(tenant: str) -> bool:
            scope = Scope(tenant, "dr-a", "clinician")
            return await raw(database, scope, "SELECT report_id FROM report.reports") == [own[tenant]]

        assert all(await asyncio.gather(*(look(tenant) for tenant in list(own) * 20)))
