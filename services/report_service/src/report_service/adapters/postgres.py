"""The report store on PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from radrelay_shared.database import Database, Scope, enqueue, record_once
from radrelay_shared.events import Event, ModelRef, ReportCreated
from radrelay_shared.messaging import durables
from report_service.adapters.tables import Base, InboxRow, OutboxRow
from report_service.domain.report import Report
from report_service.domain.worklist import WorklistQuery

_TABLE = Base.metadata.tables["report.reports"]
_REPORTS = _TABLE.c
# Built once, with parameters bound at execution: building it for each report costs more than sending it.
_ADD = insert(_TABLE).on_conflict_do_nothing().returning(_REPORTS.report_id)
_MODEL_FIELDS = ("name", "version", "digest", "label", "intended_use")
_PLAIN_FIELDS = tuple(column.name for column in _REPORTS if not column.name.startswith("model_"))


class PostgresReportStore:
    """Implements the store's port; one database transaction a unit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator["PostgresReportUnit"]:
        """Commits on normal exit, else rolls back."""
        async with self._database.transaction(scope) as session:
            yield PostgresReportUnit(session, scope)


class PostgresReportUnit:
    """One transaction.

    Row security alone keeps other tenants and owners out. The same conditions are said again in each query, for the
    planner: it finds the matching index by them.
    """

    def __init__(self, session: AsyncSession, scope: Scope) -> None:
        self._session = session
        self._scope = scope

    async def record_once(self, event: Event[Any]) -> bool:
        """Note the event in the inbox; False where it is there already."""
        return await record_once(self._session, InboxRow, consumer=durables.REPORT_RESULTS.name, event=event)

    async def add(self, report: Report) -> bool:
        """Insert the report; False where its image, owner and model have one."""
        row = {name: getattr(report, name) for name in _PLAIN_FIELDS}
        row |= {f"model_{name}": getattr(report.model, name) for name in _MODEL_FIELDS}
        return (await self._session.execute(_ADD, row)).first() is not None

    async def announce(self, event: Event[ReportCreated]) -> None:
        """Put the event in the outbox."""
        await enqueue(self._session, OutboxRow, event)

    async def find(self, report_id: UUID) -> Report | None:
        """The report, or None where the scope has none of that identifier."""
        statement = self._visible().where(_REPORTS.report_id == report_id)
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else _report(row)

    async def search(self, query: WorklistQuery) -> list[Report]:
        """Reports in worklist order, one more than the limit where there are more."""
        order = (_REPORTS.urgency, _REPORTS.received_at, _REPORTS.report_id)
        statement = self._visible().order_by(*order).limit(query.limit + 1)
        if query.batch_id is not None:
            statement = statement.where(_REPORTS.batch_id == query.batch_id)
        if query.urgency is not None:
            statement = statement.where(_REPORTS.urgency == query.urgency)
        if query.after is not None:
            after = (query.after.urgency, query.after.received_at, query.after.report_id)
            statement = statement.where(tuple_(*order) > after)
        return [_report(row) for row in await self._session.execute(statement)]

    def _visible(self) -> Select[Any]:
        conditions: list[ColumnElement[bool]] = [_REPORTS.tenant == self._scope.tenant]
        if self._scope.role == "clinician":
            conditions.append(_REPORTS.owner_id == self._scope.owner_id)
        return select(*_REPORTS).where(*conditions)


def _report(row: Row[Any]) -> Report:
    columns = row._mapping  # SQLAlchemy's public view of a row, despite its underscore
    model = ModelRef.model_construct(**{name: columns[f"model_{name}"] for name in _MODEL_FIELDS})
    return Report(model=model, **{name: columns[name] for name in _PLAIN_FIELDS})
