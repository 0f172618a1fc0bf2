"""The report store in memory: the same promises as the one on PostgreSQL, held to the same tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from radrelay_shared.database import Scope
from radrelay_shared.events import Event, ReportCreated, Urgency
from report_service.domain.report import Report
from report_service.domain.worklist import Position, WorklistQuery


@dataclass(frozen=True)
class _State:
    reports: tuple[Report, ...] = ()
    inbox: frozenset[tuple[str, str]] = frozenset()
    outbox: tuple[Event[ReportCreated], ...] = ()


@dataclass
class InMemoryReportStore:
    """Keeps reports in memory; a unit's changes show only after it ended well."""

    state: _State = field(default_factory=_State)

    @property
    def outbox(self) -> tuple[Event[ReportCreated], ...]:
        """What was announced."""
        return self.state.outbox

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator["InMemoryReportUnit"]:
        """Commits on normal exit, else rolls back."""
        unit = InMemoryReportUnit(scope, self.state)
        yield unit
        self.state = unit.state


class InMemoryReportUnit:
    """One transaction."""

    def __init__(self, scope: Scope, state: _State) -> None:
        self._scope = scope
        self.state = state

    async def record_once(self, event: Event[Any]) -> bool:
        """Note the event; False where it was noted before."""
        key = (event.tenant, event.id)
        if key in self.state.inbox:
            return False
        self.state = replace(self.state, inbox=self.state.inbox | {key})
        return True

    async def add(self, report: Report) -> bool:
        """Keep the report; False where its image, owner and model have one."""
        if any(_identity(report) == _identity(kept) for kept in self.state.reports):
            return False
        self.state = replace(self.state, reports=(*self.state.reports, report))
        return True

    async def announce(self, event: Event[ReportCreated]) -> None:
        """Keep the event."""
        self.state = replace(self.state, outbox=(*self.state.outbox, event))

    async def find(self, report_id: UUID) -> Report | None:
        """The report, or None where the scope has none of that identifier."""
        return next((report for report in self._visible() if report.report_id == report_id), None)

    async def search(self, query: WorklistQuery) -> list[Report]:
        """Reports in worklist order, one more than the limit where there are more."""
        found = [
            report
            for report in self._visible()
            if query.batch_id in {None, report.batch_id}
            and query.urgency in {None, report.urgency}
            and (query.after is None or _order(Position.of(report)) > _order(query.after))
        ]
        return sorted(found, key=lambda report: _order(Position.of(report)))[: query.limit + 1]

    def _visible(self) -> list[Report]:
        return [
            report
            for report in self.state.reports
            if report.tenant == self._scope.tenant
            and (self._scope.role != "clinician" or report.owner_id == self._scope.owner_id)
        ]


def _identity(report: Report) -> tuple[str, str, UUID, str]:
    return report.tenant, report.owner_id, report.instance_id, report.model.digest


def _order(position: Position) -> tuple[int, Any, UUID]:
    return list(Urgency).index(position.urgency), position.received_at, position.report_id
