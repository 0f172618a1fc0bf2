"""How PostgreSQL finds a page of the worklist under row security."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import event

from radrelay_shared.database import Database, DatabaseSettings, Scope
from radrelay_shared.events import Urgency
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.worklist import Position, WorklistQuery
from support.databases import migrated, new_database
from support.events import RECEIVED_AT
from support.stack import Infrastructure

_FILL = """
INSERT INTO report.reports
SELECT 't-' || n % 2, gen_random_uuid(), 'dr-' || n % 3, gen_random_uuid(), gen_random_uuid(), '1.2', '1.2', '1.2',
       '1.2', 'CT', 'HEAD', 'model', '1', 'sha256:5e', 'untrained', 'none', 'finding', true, 0.9, 0.9, 0.9, n / 6 % 3,
       't/a', 't/b', 't/c', 't/d', timestamptz '2026-03-14 09:30Z' + n * interval '1 second', now(), now()
FROM generate_series(1, 10000) AS n
"""


@pytest.fixture(scope="module")
async def filled(infra: Infrastructure) -> DatabaseSettings:
    """A database of 10,000 reports over two tenants of three owners."""
    address = await new_database(infra.postgres_admin_url)
    settings = await migrated(address, "report")
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(_FILL)
        await connection.execute("ANALYZE report.reports")
    finally:
        await connection.close()
    return settings


@pytest.mark.parametrize(
    ("role", "index"),
    [
        ("clinician", "ix_reports_tenant_owner_id_urgency_received_at_report_id"),
        ("tenant_admin", "ix_reports_tenant_urgency_received_at_report_id"),
    ],
)
async def test_row_security_does_not_keep_the_worklist_from_its_index(
    filled: DatabaseSettings, role: Any, index: str
) -> None:
    """Only leakproof comparisons can be index conditions under row security, and the cursor's has to be one."""
    executed: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        executed.append((statement, parameters))

    scope = Scope("t-1", "dr-1", role)
    query = WorklistQuery(limit=50, after=Position(Urgency.URGENT, RECEIVED_AT, UUID(int=5)))
    async with Database(filled.app_url) as database:
        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        async with PostgresReportStore(database).transaction(scope) as unit:
            await unit.search(query)
        statement, parameters = executed[-1]
        async with database.transaction(scope) as session:
            connection = await session.connection()
            plan = list((await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)).scalars())
    assert any(f"Index Scan using {index} on reports" in line for line in plan), plan
    (condition,) = (line for line in plan if "Index Cond:" in line)
    assert "ROW(urgency, received_at, report_id) > " in condition
    assert not any("Sort" in line for line in plan)
