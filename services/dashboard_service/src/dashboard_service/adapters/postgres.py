"""The counts on PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from dashboard_service.adapters.tables import CaseRollupRow, FailureRollupRow, InboxRow
from dashboard_service.domain.counting import Case, Failure
from dashboard_service.domain.summary import Cell
from radrelay_shared.database import Database, Scope, record_once
from radrelay_shared.events import Event, Urgency


class PostgresCountStore:
    """Implements the store's port; one database transaction a unit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator["PostgresCountUnit"]:
        """Commits on normal exit, else rolls back."""
        async with self._database.transaction(scope) as session:
            yield PostgresCountUnit(session, scope)


class PostgresCountUnit:
    """One transaction.

    Row security alone keeps other tenants and owners out. The same conditions are said again in each query, for the
    planner: it finds the matching index by them.
    """

    def __init__(self, session: AsyncSession, scope: Scope) -> None:
        self._session = session
        self._scope = scope

    async def record_once(self, event: Event[Any], *, consumer: str) -> bool:
        """Note the event in the inbox; False where it is there already."""
        return await record_once(self._session, InboxRow, consumer=consumer, event=event)

    async def add_case(self, case: Case) -> None:
        """Add one to the case's cell."""
        row = insert(CaseRollupRow).values(
            tenant=case.tenant,
            owner_id=case.owner_id,
            day=case.day,
            modality=case.modality,
            model_digest=case.model_digest,
            model_label=case.model_label,
            urgency=case.urgency,
            cases=1,
            positives=int(case.positive),
            confidence_sum=case.confidence,
        )
        statement = row.on_conflict_do_update(
            index_elements=list(CaseRollupRow.__table__.primary_key),
            set_={
                "cases": CaseRollupRow.cases + row.excluded.cases,
                "positives": CaseRollupRow.positives + row.excluded.positives,
                "confidence_sum": CaseRollupRow.confidence_sum + row.excluded.confidence_sum,
            },
        )
        await self._session.execute(statement)

    async def add_failure(self, failure: Failure) -> None:
        """Add one to the failure's cell."""
        row = insert(FailureRollupRow).values(
            tenant=failure.tenant, owner_id=failure.owner_id, day=failure.day, reason=failure.reason, failures=1
        )
        statement = row.on_conflict_do_update(
            index_elements=list(FailureRollupRow.__table__.primary_key),
            set_={"failures": FailureRollupRow.failures + row.excluded.failures},
        )
        await self._session.execute(statement)

    async def cells(self) -> list[Cell]:
        """The scope's cases by day, urgency and model."""
        row = CaseRollupRow
        group = (row.day, row.urgency, row.model_digest, row.model_label)
        statement = (
            select(*group, func.sum(row.cases), func.sum(row.positives), func.sum(row.confidence_sum))
            .where(*self._visible(row))
            .group_by(*group)
        )
        return [
            Cell(day, Urgency(urgency), digest, label, int(cases), int(positives), confidence_sum)
            for day, urgency, digest, label, cases, positives, confidence_sum in await self._session.execute(statement)
        ]

    async def failed_cases(self) -> int:
        """The scope's images that got no result."""
        row = FailureRollupRow
        statement = select(func.coalesce(func.sum(row.failures), 0)).where(*self._visible(row))
        return int((await self._session.execute(statement)).scalar_one())

    def _visible(self, row: type[CaseRollupRow | FailureRollupRow]) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = [row.tenant == self._scope.tenant]
        if self._scope.role == "clinician":
            conditions.append(row.owner_id == self._scope.owner_id)
        return conditions
