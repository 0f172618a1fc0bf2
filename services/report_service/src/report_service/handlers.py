"""What the report service does: one function per use case, on ports."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

from radrelay_shared.audit import AuditFact
from radrelay_shared.audit.ports import ReadLog
from radrelay_shared.database import Scope
from radrelay_shared.events import Event, InferenceCompleted, ReportCreated, Urgency, make_event
from radrelay_shared.http import NotFound
from radrelay_shared.objects import ObjectNotFound, ObjectStore
from report_service.domain.audit import AuditAction
from report_service.domain.erasure import Mark, MarkKind, marks_against, successor_of
from report_service.domain.report import (
    Download,
    ImpossibleResult,
    Report,
    announcement_id,
    report_created,
    report_from_result,
)
from report_service.domain.studies import HistoryEntry, StudyReport
from report_service.domain.worklist import Counts, Filters, WorklistPage, WorklistQuery, page_of

SOURCE = "/radrelay/report"
_READING: Final = {Download.HEATMAP: AuditAction.HEATMAP_READ, Download.SOURCE: AuditAction.SOURCE_READ}


class ReportUnit(Protocol):
    """One transaction on the reports that a scope may touch."""

    async def record_once(self, *events: Event[Any]) -> set[str]:
        """Note that events are dealt with; the identifiers of those that were not before."""

    async def marked(self, marks: Sequence[Mark]) -> Mapping[Mark, datetime]:
        """Those of these marks whose things were erased, and when last."""

    async def add(self, *reports: Report) -> set[UUID]:
        """Keep reports; the identifiers of those whose image of that owner had none by that model."""

    async def announce(self, *events: Event[Any], traceparents: Sequence[str | None] | None = None) -> None:
        """Have the events published after, and only if, the transaction commits; each in its trace, or that of now."""

    async def find(self, report_id: UUID) -> Report | None:
        """The report, or None where the scope has none of that identifier."""

    async def search(self, query: WorklistQuery) -> list[Report]:
        """Reports in worklist order: one more than `query.limit` where there are more."""

    async def count(self, filters: Filters) -> Counts:
        """Reports by urgency and review state."""

    async def study(self, study_instance_uid: str, series_instance_uid: str | None = None) -> StudyReport | None:
        """A study, or one series of it; None where the scope has none."""

    async def history(self, filters: Filters) -> list[HistoryEntry]:
        """What batches brought of studies, the newest first: one entry more than a history has where there are more."""


class ReportStore(Protocol):
    """Where reports are kept."""

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[ReportUnit]:
        """Commits on normal exit, else rolls back; sees and writes only what the scope allows."""


class Persisted(StrEnum):
    """What became of a result."""

    CREATED = "created"
    REPEATED_EVENT = "repeated_event"
    REPORTED_BEFORE = "reported_before"
    ERASED = "erased"
    """The image was erased after it was received: there will be no report of it."""


async def persist_report(
    event: Event[InferenceCompleted], *, reports: ReportStore, now: Callable[[], datetime]
) -> tuple[Persisted, Report]:
    """Turn a result into its one report and announce it, all in one transaction.

    The first result for an image, owner and model stands: it has been announced and may have been read.

    Raises:
        ImpossibleResult: nothing was written, and nothing will be on a repeat.
    """
    (outcome,) = await persist_reports(event.tenant, [event], reports=reports, now=now)
    if isinstance(outcome, ImpossibleResult):
        raise outcome
    return outcome


async def persist_reports(
    tenant: str,
    events: Sequence[Event[InferenceCompleted]],
    *,
    reports: ReportStore,
    now: Callable[[], datetime],
    traceparents: Mapping[str, str | None] | None = None,
) -> list[tuple[Persisted, Report] | ImpossibleResult]:
    """What `persist_report` does, for several results of one tenant in one transaction; in their order.

    `traceparents` has the span that each event, by its identifier, is handled in; that of now where it is not given.
    """
    made = [_report_or_error(event, now()) for event in events]
    possible = [(event, each) for event, each in zip(events, made, strict=True) if isinstance(each, Report)]
    if possible:
        async with reports.transaction(Scope.service(tenant)) as unit:
            standing = await _after_erasures(unit, [report for _, report in possible])
            new_ids = await unit.record_once(*(event for event, _ in possible))
            # An image that was erased and sent again gives the same events: the inbox takes them for those of before.
            new_ids |= {event.id for (event, first), each in zip(possible, standing, strict=True) if each is not first}
            settled = [
                (event, each or report, each is None) for (event, report), each in zip(possible, standing, strict=True)
            ]
            new = [report for event, report, is_erased in settled if event.id in new_ids and not is_erased]
            added = await unit.add(*new) if new else set()
            outcomes = [
                (Persisted.ERASED, report) if is_erased else _outcome(event, report, new_ids, added)
                for event, report, is_erased in settled
            ]
            created = [
                (event, report)
                for (event, _), (outcome, report) in zip(possible, outcomes, strict=True)
                if outcome is Persisted.CREATED
            ]
            if created:
                await unit.announce(
                    *(_announcement(report, event.data.priority) for event, report in created),
                    traceparents=[traceparents[event.id] for event, _ in created] if traceparents else None,
                )
    persisted = iter(outcomes if possible else ())
    return [next(persisted) if isinstance(each, Report) else each for each in made]


async def _after_erasures(unit: ReportUnit, reports: Sequence[Report]) -> list[Report | None]:
    """Each report under an identifier that none was erased under; None where it was erased since its image came."""
    marks = [marks_against(report) for report in reports]
    erased = await unit.marked([mark for each in marks for mark in each])
    return [
        await _after_erasure(unit, report) if any(mark in erased for mark in each) else report
        for report, each in zip(reports, marks, strict=True)
    ]


async def _after_erasure(unit: ReportUnit, report: Report) -> Report | None:
    while erased := await unit.marked(marks_against(report)):
        if any(report.received_at <= erased_at for erased_at in erased.values()):
            return None
        if all(mark.kind is not MarkKind.REPORT for mark in erased):
            break
        report = successor_of(report)
    return report


def _outcome(event: Event[Any], report: Report, new_ids: set[str], added: set[UUID]) -> tuple[Persisted, Report]:
    """What became of one result; where two are the same, the first that is asked about was the new one."""
    if event.id not in new_ids:
        return Persisted.REPEATED_EVENT, report
    new_ids.remove(event.id)
    if report.report_id not in added:
        return Persisted.REPORTED_BEFORE, report
    added.remove(report.report_id)
    return Persisted.CREATED, report


def _report_or_error(event: Event[InferenceCompleted], created_at: datetime) -> Report | ImpossibleResult:
    try:
        return report_from_result(event.tenant, event.data, created_at=created_at)
    except ImpossibleResult as error:
        return error


def _announcement(report: Report, priority: Urgency | None) -> Event[ReportCreated]:
    created = report_created(report, priority=priority)
    return make_event(created, tenant=report.tenant, source=SOURCE, event_id=announcement_id(report))


async def list_reports(query: WorklistQuery, *, scope: Scope, reports: ReportStore, reads: ReadLog) -> WorklistPage:
    """One page of the scope's worklist; who looked is recorded before it is returned."""
    async with reports.transaction(scope) as unit:
        page = page_of(await unit.search(query), query.limit)
    of_patient = query.patient_hash is not None
    action = AuditAction.PATIENT_SEARCHED if of_patient else AuditAction.REPORTS_LISTED
    await reads.record(_asked(action, scope, query))
    return page


async def count_reports(filters: Filters, *, scope: Scope, reports: ReportStore, reads: ReadLog) -> Counts:
    """How many reports there are by urgency and review state; who asked is recorded before it is returned."""
    async with reports.transaction(scope) as unit:
        counts = await unit.count(filters)
    await reads.record(_asked(AuditAction.REPORTS_COUNTED, scope, filters))
    return counts


async def get_report(report_id: UUID, *, scope: Scope, reports: ReportStore, reads: ReadLog) -> Report:
    """One report; who read it is recorded before it is returned.

    Raises:
        NotFound: there is none, or it is someone else's.
    """
    report = await find_report(report_id, scope, reports)
    await reads.record(fact_about(report, AuditAction.REPORT_READ, scope.owner_id))
    return report


def _asked(action: AuditAction, reader: Scope, filters: Filters) -> AuditFact:
    return AuditFact(reader.tenant, reader.owner_id, action, datetime.now(UTC), filters.batch_id)


def fact_about(
    report: Report, action: AuditAction, actor: str, *, at: datetime | None = None, reason: str | None = None
) -> AuditFact:
    """What the audit trail keeps of what somebody did with a report, by default now: our own identifiers only."""
    return AuditFact(
        tenant=report.tenant,
        actor=actor,
        action=action,
        at=at or datetime.now(UTC),
        batch_id=report.batch_id,
        instance_id=report.instance_id,
        report_id=report.report_id,
        reason=reason,
    )


async def find_report(report_id: UUID, scope: Scope, reports: ReportStore) -> Report:
    """One report, without a record of it: for those who record what they do with it.

    Raises:
        NotFound: there is none, or it is someone else's.
    """
    async with reports.transaction(scope) as unit:
        return found(await unit.find(report_id))


def found(report: Report | None) -> Report:
    """What was looked for.

    Raises:
        NotFound: there is none, or it is someone else's.
    """
    if report is None:
        raise NotFound(code="report_not_found", detail="You have no report of this identifier.")
    return report


@dataclass(frozen=True, slots=True)
class FetchedRendering:
    """A rendering's bytes, or None where the caller has them already, and their tag."""

    etag: str
    body: bytes | None


async def fetch_download(
    report_id: UUID,
    download: Download,
    *,
    known: Callable[[str], bool],
    scope: Scope,
    reports: ReportStore,
    reads: ReadLog,
    objects: ObjectStore,
) -> FetchedRendering:
    """The DICOM file or the raw map of a report. `known` says of a tag whether the caller holds those bytes.

    Who took it is recorded before it is returned, also where the caller holds it.

    Raises:
        NotFound: no such report for this scope, its image is gone, or it has no map.
    """
    report = await find_report(report_id, scope, reports)
    # A report never changes, nor does the file that it is of.
    etag = f"{report_id.hex}-{download}"
    body = None if known(etag) else await _download(report, download, objects)
    await reads.record(fact_about(report, _READING[download], scope.owner_id))
    return FetchedRendering(etag, body)


async def _download(report: Report, download: Download, objects: ObjectStore) -> bytes:
    if download is Download.SOURCE:
        try:
            return await objects.get(report.source_key)
        except ObjectNotFound as error:
            raise no_rendering("The object store no longer has the image of this report.") from error
    if report.heatmap_npy is None:
        raise no_rendering("This report was made before its heatmap was kept.")
    return report.heatmap_npy


def no_rendering(detail: str) -> NotFound:
    """There is a report, but not this of it."""
    return NotFound(code="rendering_not_found", detail=detail)
