"""The report store on PostgreSQL."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from radrelay_shared.audit.tables import ChainStatements, ChainTransaction
from radrelay_shared.database import Database, Scope, enqueue
from radrelay_shared.events import Event, ModelRef
from radrelay_shared.messaging import durables
from report_service.adapters import reading, summing
from report_service.adapters.adding import ADD_REPORTS, rows_of
from report_service.adapters.destinations import DestinationTransaction
from report_service.adapters.erasures import ErasureTransaction
from report_service.adapters.patients import PostgresPatients
from report_service.adapters.reading import Shape, parameters_of, starts_of, walks_states
from report_service.adapters.reviews import ReviewTransaction
from report_service.adapters.tables import AuditHeadRow, AuditRow, Base, OutboxRow
from report_service.domain.erasure import Target
from report_service.domain.report import Report
from report_service.domain.studies import HistoryEntry, StudyReport
from report_service.domain.worklist import COUNTED_UP_TO, Counts, Filters, WorklistQuery

CHAIN = ChainStatements(AuditRow, AuditHeadRow, lock_class=3141002)
_MODEL_FIELDS = ("name", "version", "digest", "label", "intended_use")
_PLAIN_FIELDS = tuple(field.name for field in fields(Report) if field.name != "model")
_INBOX: Final = Base.metadata.tables["report.inbox"]
_inbox = _INBOX.c
_RECORD: Final = (
    insert(_INBOX)
    .from_select(
        ["tenant", "consumer", "event_id"],
        select(
            bindparam("tenant", type_=_inbox.tenant.type),
            bindparam("consumer", type_=_inbox.consumer.type),
            func.unnest(bindparam("event_ids", type_=ARRAY(_inbox.event_id.type))),
        ),
    )
    .on_conflict_do_nothing()
    .returning(_inbox.event_id)
)


class PostgresReportStore:
    """Implements the store's port; one database transaction a unit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator["PostgresReportUnit"]:
        """Commits on normal exit, else rolls back."""
        async with self._database.transaction(scope) as session:
            yield PostgresReportUnit(session, scope)

    @asynccontextmanager
    async def patients(self, scope: Scope) -> AsyncIterator[PostgresPatients]:
        """The same, on the patients of studies."""
        async with self._database.transaction(scope) as session:
            yield PostgresPatients(session, scope)


class PostgresReportUnit(ChainTransaction, ReviewTransaction, ErasureTransaction, DestinationTransaction):
    """One transaction."""

    def __init__(self, session: AsyncSession, scope: Scope) -> None:
        ChainTransaction.__init__(self, session, CHAIN)
        ReviewTransaction.__init__(self, session)
        ErasureTransaction.__init__(self, session, scope.tenant)
        DestinationTransaction.__init__(self, session, scope.tenant)
        self._session = session
        self._scope = scope

    async def record_once(self, *events: Event[Any]) -> set[str]:
        """Note events in the inbox; the identifiers of those that were not there."""
        consumer, event_ids = durables.REPORT_RESULTS.name, sorted({event.id for event in events})
        noted = {"tenant": self._scope.tenant, "consumer": consumer, "event_ids": event_ids}
        return set((await self._session.execute(_RECORD, noted)).scalars())

    async def add(self, *reports: Report) -> set[UUID]:
        """Insert reports; the identifiers of those whose image, owner and model had none."""
        parameters = rows_of(self._scope.tenant, reports)
        return set((await self._session.execute(ADD_REPORTS, parameters)).scalars())

    async def announce(self, *events: Event[Any], traceparents: Sequence[str | None] | None = None) -> None:
        """Put the events in the outbox, each with its trace, or that of now, and note them for destinations."""
        await enqueue(self._session, OutboxRow, *events, traceparents=traceparents)
        await self.note_for_destinations(*events)

    async def find(self, report_id: UUID) -> Report | None:
        """The report, or None where the scope has none of that identifier."""
        by_owner = self._scope.role == "clinician"
        given = parameters_of(Filters(), self._scope, report_id=report_id)
        row = (await self._session.execute(reading.find(by_owner), given)).one_or_none()
        return None if row is None else _report(row)

    async def search(self, query: WorklistQuery) -> list[Report]:
        """Reports in worklist order, one more than the limit where there are more."""
        shape = Shape.of(query, self._scope)
        starts = starts_of(query, by_state=walks_states(shape, counting=False))
        given = parameters_of(query, self._scope, at_most=query.limit + 1, **starts)
        return [_report(row) for row in await self._session.execute(reading.page(shape), given)]

    async def count(self, filters: Filters) -> Counts:
        """Reports by urgency and review state."""
        given = parameters_of(filters, self._scope, **starts_of(filters, by_state=True))
        cells = await self._session.execute(reading.counts(Shape.of(filters, self._scope)), given)
        return {(urgency, state): min(number, COUNTED_UP_TO + 1) for urgency, state, number in cells}

    async def study(self, study_instance_uid: str, series_instance_uid: str | None = None) -> StudyReport | None:
        """A study, or one series of it; None where the scope has none."""
        filters = Filters(study_instance_uid=study_instance_uid, series_instance_uid=series_instance_uid)
        shape, given = Shape.of(filters, self._scope), parameters_of(filters, self._scope)
        found = await self._session.execute(summing.series(shape), given)
        series = tuple(map(summing.series_of, found))
        if not series:
            return None
        key_images = await self._session.execute(summing.key_images(shape), given)
        return StudyReport(study_instance_uid, series, tuple(map(_report, key_images)))

    async def history(self, filters: Filters) -> list[HistoryEntry]:
        """What batches brought of studies, one entry more than a history has where there are more."""
        statement, given = summing.history(Shape.of(filters, self._scope)), parameters_of(filters, self._scope)
        return [summing.entry_of(row) for row in await self._session.execute(statement, given)]

    async def lock_targeted(self, target: Target, before: datetime, limit: int) -> list[Report]:
        """Reports of the target whose images were received before; nobody else changes them until the unit ends."""
        return await self._all(await self.targeted_ids(target, before, limit))

    async def lock_expired(self, before: Mapping[str | None, datetime], limit: int) -> list[Report]:
        """Reports whose time has passed, as `RetentionPolicy.received_before` says; likewise."""
        return await self._all(await self.expired_ids(before, limit))

    async def _all(self, report_ids: Sequence[UUID]) -> list[Report]:
        given = parameters_of(Filters(), self._scope, report_ids=report_ids)
        found = await self._session.execute(reading.find_all(), given)
        return [_report(row) for row in found]


def _report(row: Row[Any]) -> Report:
    columns = row._mapping  # SQLAlchemy's public view of a row, despite its underscore
    model = ModelRef.model_construct(**{name: columns[f"model_{name}"] for name in _MODEL_FIELDS})
    return Report(model=model, **{name: columns[name] for name in _PLAIN_FIELDS})
