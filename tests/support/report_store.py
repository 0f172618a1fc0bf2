"""The report store in memory: the same promises as the one on PostgreSQL, held to the same tests."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from radrelay_shared.audit import AuditFact
from radrelay_shared.database import Scope
from radrelay_shared.events import Event, ReportCreated, Urgency
from report_service.domain.erasure import Mark
from report_service.domain.report import Report, ReviewState
from report_service.domain.studies import KEY_IMAGES, MAX_HISTORY, HistoryEntry, SeriesSummary, StudyReport, Tally
from report_service.domain.worklist import COUNTED_UP_TO, Counts, Filters, Position, WorklistQuery


@dataclass(frozen=True)
class _State:
    reports: tuple[Report, ...] = ()
    inbox: frozenset[tuple[str, str]] = frozenset()
    outbox: tuple[Event[ReportCreated], ...] = ()
    traces: Mapping[str, str | None] = field(default_factory=dict)
    erased: Mapping[Mark, datetime] = field(default_factory=dict)


@dataclass
class InMemoryReportStore:
    """Keeps reports in memory; a unit's changes show only after it ended well."""

    state: _State = field(default_factory=_State)
    transactions: int = 0
    """That were begun."""

    @property
    def outbox(self) -> tuple[Event[ReportCreated], ...]:
        """What was announced."""
        return self.state.outbox

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator["InMemoryReportUnit"]:
        """Commits on normal exit, else rolls back."""
        self.transactions += 1
        unit = InMemoryReportUnit(scope, self.state)
        yield unit
        self.state = unit.state


class InMemoryReportUnit:
    """One transaction."""

    def __init__(self, scope: Scope, state: _State) -> None:
        self._scope = scope
        self.state = state

    async def record_once(self, *events: Event[Any]) -> set[str]:
        """Note events; the identifiers of those that were not noted before."""
        new = {(event.tenant, event.id) for event in events} - self.state.inbox
        self.state = replace(self.state, inbox=self.state.inbox | new)
        return {event_id for _, event_id in new}

    async def marked(self, marks: Sequence[Mark]) -> Mapping[Mark, datetime]:
        """Those of these marks whose things were erased, and when last."""
        return {mark: self.state.erased[mark] for mark in marks if mark in self.state.erased}

    async def add(self, *reports: Report) -> set[UUID]:
        """Keep reports; the identifiers of those whose image, owner and model had none."""
        added: set[UUID] = set()
        for report in reports:
            if not any(_identity(report) == _identity(kept) for kept in self.state.reports):
                self.state = replace(self.state, reports=(*self.state.reports, report))
                added.add(report.report_id)
        return added

    async def announce(self, *events: Event[ReportCreated], traceparents: Sequence[str | None] | None = None) -> None:
        """Keep the events, and which trace each belongs to."""
        traces = dict(zip((event.id for event in events), traceparents or [None] * len(events), strict=True))
        self.state = replace(self.state, outbox=(*self.state.outbox, *events), traces={**self.state.traces, **traces})

    async def find(self, report_id: UUID) -> Report | None:
        """The report, or None where the scope has none of that identifier."""
        return next((report for report in self._visible() if report.report_id == report_id), None)

    async def search(self, query: WorklistQuery) -> list[Report]:
        """Reports in worklist order, one more than the limit where there are more."""
        found = [
            report
            for report in self._asked(query)
            if query.after is None or _order(Position.of(report)) > _order(query.after)
        ]
        return sorted(found, key=lambda report: _order(Position.of(report)))[: query.limit + 1]

    async def count(self, filters: Filters) -> Counts:
        """Reports by urgency and review state."""
        counted = Counter((report.urgency, report.review_state) for report in self._asked(filters))
        return {cell: min(number, COUNTED_UP_TO + 1) for cell, number in counted.items()}

    async def study(self, study_instance_uid: str, series_instance_uid: str | None = None) -> StudyReport | None:
        """A study, or one series of it."""
        by_series: dict[str, list[Report]] = {}
        asked = Filters(study_instance_uid=study_instance_uid, series_instance_uid=series_instance_uid)
        for report in self._asked(asked):
            by_series.setdefault(report.series_instance_uid, []).append(report)
        if not by_series:
            return None
        series = [
            SeriesSummary(uid, tuple(sorted({report.modality for report in reports})), _tally(reports))
            for uid, reports in sorted(by_series.items())
        ]
        reports = [report for each in by_series.values() for report in each]
        return StudyReport(study_instance_uid, tuple(series), tuple(sorted(reports, key=_weight)[:KEY_IMAGES]))

    async def history(self, filters: Filters) -> list[HistoryEntry]:
        """What batches brought of studies, the newest first."""
        brought: dict[tuple[str, UUID], list[Report]] = {}
        for report in self._asked(filters):
            brought.setdefault((report.study_instance_uid, report.batch_id), []).append(report)
        entries = [HistoryEntry(*each, _tally(reports)) for each, reports in brought.items()]
        entries.sort(key=lambda entry: (entry.batch_id, entry.study_instance_uid))
        entries.sort(key=lambda entry: entry.tally.last_received_at, reverse=True)
        return entries[: MAX_HISTORY + 1]

    def _asked(self, filters: Filters) -> list[Report]:
        """It keeps no patients, so that nothing is found by them."""
        wanted = {
            name: getattr(filters, name)
            for name in (
                *("batch_id", "urgency", "review_state", "finding", "positive", "modality"),
                *("study_instance_uid", "series_instance_uid"),
            )
        }
        return [
            report
            for report in self._visible()
            if filters.patient_hash is None
            and all(value in {None, getattr(report, name)} for name, value in wanted.items())
            and filters.model_digest in {None, report.model.digest}
            and (filters.received_from is None or report.received_at >= filters.received_from)
            and (filters.received_before is None or report.received_at < filters.received_before)
        ]

    def _visible(self) -> list[Report]:
        return [
            report
            for report in self.state.reports
            if report.tenant == self._scope.tenant
            and (self._scope.role != "clinician" or report.owner_id == self._scope.owner_id)
        ]


@dataclass
class KeptReads:
    """A read log in memory."""

    facts: list[AuditFact] = field(default_factory=list)

    async def record(self, fact: AuditFact) -> None:
        """Keep it."""
        self.facts.append(fact)


def _identity(report: Report) -> tuple[str, str, UUID, str]:
    return report.tenant, report.owner_id, report.instance_id, report.model.digest


def _order(position: Position) -> tuple[int, Any, UUID]:
    return list(Urgency).index(position.urgency), position.received_at, position.report_id


def _weight(report: Report) -> tuple[int, bool, float, UUID]:
    return list(Urgency).index(report.urgency), not report.positive, -report.probability, report.report_id


def _tally(reports: list[Report]) -> Tally:
    return Tally(
        images=len({report.instance_id for report in reports}),
        positive_images=len({report.instance_id for report in reports if report.positive}),
        reports=len(reports),
        unreviewed_reports=sum(report.review_state is ReviewState.UNREVIEWED for report in reports),
        urgency=min((report.urgency for report in reports), key=list(Urgency).index),
        first_received_at=min(report.received_at for report in reports),
        last_received_at=max(report.received_at for report in reports),
    )
