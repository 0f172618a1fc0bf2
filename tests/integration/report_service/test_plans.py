"""How PostgreSQL finds reports under row security: what it reads does not grow with how many there are."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import md5, sha256
from itertools import combinations
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import event

from benchmarks.reports.many_reports import Population, fill
from radrelay_shared.database import Database, DatabaseSettings, Scope
from radrelay_shared.database.session import ScopeRole
from radrelay_shared.events import Urgency
from report_service.adapters.postgres import PostgresReportStore
from report_service.adapters.reading import Shape
from report_service.domain.report import ReviewState
from report_service.domain.worklist import Filters, Position, WorklistQuery
from support.databases import migrated, new_database
from support.stack import Infrastructure

REPORTS_A_TENANT: Final = 20_000
LIMIT: Final = 4
KINDS: Final = 24
BATCH: Final = 200
STUDY: Final = 20
WALKS: Final = KINDS * len(Urgency)
FILTERS: Final[dict[str, Any]] = {
    "urgency": Urgency.ROUTINE,
    "review_state": ReviewState.AGREE,
    "finding": "finding-1",
    "positive": True,
    "modality": "MG",
    "model_digest": "sha256:" + "1".zfill(64),
    "received_from": datetime(2026, 3, 20, tzinfo=UTC),
    "received_before": datetime(2026, 3, 21, tzinfo=UTC),
    "batch_id": UUID(md5(b"batch1-3", usedforsecurity=False).hexdigest()),
    "study_instance_uid": "1.2.1.31",
    "series_instance_uid": "1.3.1.62",
    "patient_hash": sha256(b"1.31").digest(),
    "after": Position(Urgency.URGENT, datetime(2026, 3, 16, tzinfo=UTC), UUID(int=5)),
}


@pytest.fixture(scope="module")
async def filled(infra: Infrastructure) -> DatabaseSettings:
    """A database of reports of two tenants."""
    address = await new_database(infra.postgres_admin_url)
    settings = await migrated(address, "report")
    await fill(address, Population(reports=2 * REPORTS_A_TENANT, tenants=2))
    return settings


def scope_of(role: ScopeRole) -> Scope:
    return Scope("t-1", "dr-1", role)


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes_of(child)


class Explaining:
    """What the store's last statement reads."""

    def __init__(self, database: Database) -> None:
        self.store = PostgresReportStore(database)
        self._database = database
        self._last: tuple[str, Any] = ("", ())
        event.listen(database.engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, _: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        self._last = (statement, parameters)

    async def nodes(self, scope: Scope) -> list[dict[str, Any]]:
        """The nodes of its plan that read a table, with what they did."""
        statement, parameters = self._last
        async with self._database.transaction(scope) as session:
            connection = await session.connection()
            explained = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
            found = explained.scalar_one()
        (plan,) = json.loads(found) if isinstance(found, str) else found
        return [node for node in nodes_of(plan["Plan"]) if "Relation Name" in node]


def rows_read(nodes: list[dict[str, Any]]) -> float:
    """How many reports were looked at, whether or not they were what was asked for."""
    return sum(
        float((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
        for node in nodes
        if node["Relation Name"] == "reports"
    )


@pytest.mark.parametrize("role", ["clinician", "tenant_admin"])
async def test_no_filters_make_a_page_read_more_than_a_few_reports_for_each_kind_or_a_batch(
    filled: DatabaseSettings, role: ScopeRole
) -> None:
    scope = scope_of(role)
    async with Database(filled.app_url) as database:
        explaining = Explaining(database)
        for count in (0, 1, 2, len(FILTERS)):
            for names in combinations(FILTERS, count):
                query = WorklistQuery(limit=LIMIT, **{name: FILTERS[name] for name in names})
                async with explaining.store.transaction(scope) as unit:
                    await unit.search(query)
                nodes = await explaining.nodes(scope)
                few = 2 * (WALKS * (LIMIT + 1) if Shape.of(query, scope).by_kind else BATCH)
                assert rows_read(nodes) <= few < REPORTS_A_TENANT / 10, names
                assert {"Seq Scan", "Bitmap Heap Scan"}.isdisjoint(
                    node["Node Type"] for node in nodes if node["Relation Name"] != "kinds"
                ), names


@pytest.mark.parametrize(
    ("role", "index"), [("clinician", "ix_reports_owner_kind"), ("tenant_admin", "ix_reports_tenant_kind")]
)
async def test_counting_looks_at_an_index_and_not_at_reports(
    filled: DatabaseSettings, role: ScopeRole, index: str
) -> None:
    scope = scope_of(role)
    async with Database(filled.app_url) as database:
        explaining = Explaining(database)
        async with explaining.store.transaction(scope) as unit:
            await unit.count(Filters(finding="finding-1"))
        (node,) = (node for node in await explaining.nodes(scope) if node["Relation Name"] == "reports")
    assert (node["Node Type"], node["Index Name"]) == ("Index Only Scan", index)


@pytest.mark.parametrize(
    ("role", "index"),
    [
        ("clinician", "ix_reports_tenant_owner_id_urgency_received_at_report_id"),
        ("tenant_admin", "ix_reports_tenant_place"),
    ],
)
async def test_row_security_does_not_keep_the_worklist_from_its_index(
    filled: DatabaseSettings, role: ScopeRole, index: str
) -> None:
    """Only leakproof comparisons can be index conditions under row security, and the cursor's has to be one."""
    scope = scope_of(role)
    async with Database(filled.app_url) as database:
        explaining = Explaining(database)
        async with explaining.store.transaction(scope) as unit:
            await unit.search(WorklistQuery(limit=LIMIT, after=FILTERS["after"]))
        (walk,) = (node for node in await explaining.nodes(scope) if node.get("Index Name") == index)
    assert "ROW(received_at, report_id) > " in walk["Index Cond"]
