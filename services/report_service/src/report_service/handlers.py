"""What the report service does: one function per use case, on ports."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from radrelay_shared.database import Scope
from radrelay_shared.events import Event, InferenceCompleted, ReportCreated, make_event
from radrelay_shared.http import NotFound
from radrelay_shared.objects import ObjectNotFound, ObjectStore
from report_service.domain.report import Rendering, Report, announcement_id, report_created, report_from_result
from report_service.domain.worklist import WorklistPage, WorklistQuery, page_of

SOURCE = "/radrelay/report"


class ReportUnit(Protocol):
    """One transaction on the reports that a scope may touch."""

    async def record_once(self, event: Event[Any]) -> bool:
        """Note that the event is dealt with; False where it was before."""

    async def add(self, report: Report) -> bool:
        """Keep the report; False where this image of this owner has one by this model already."""

    async def announce(self, event: Event[ReportCreated]) -> None:
        """Have the event published after, and only if, the transaction commits."""

    async def find(self, report_id: UUID) -> Report | None:
        """The report, or None where the scope has none of that identifier."""

    async def search(self, query: WorklistQuery) -> list[Report]:
        """Reports in worklist order: one more than `query.limit` where there are more."""


class ReportStore(Protocol):
    """Where reports are kept."""

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[ReportUnit]:
        """Commits on normal exit, else rolls back; sees and writes only what the scope allows."""


class Persisted(StrEnum):
    """What became of a result."""

    CREATED = "created"
    REPEATED_EVENT = "repeated_event"
    REPORTED_BEFORE = "reported_before"


async def persist_report(
    event: Event[InferenceCompleted], *, reports: ReportStore, now: Callable[[], datetime]
) -> tuple[Persisted, Report]:
    """Turn a result into its one report and announce it, all in one transaction.

    The first result for an image, owner and model stands: it has been announced and may have been read.

    Raises:
        ImpossibleResult: nothing was written, and nothing will be on a repeat.
    """
    report = report_from_result(event.tenant, event.data, created_at=now())
    async with reports.transaction(Scope.service(report.tenant)) as unit:
        if not await unit.record_once(event):
            return Persisted.REPEATED_EVENT, report
        if not await unit.add(report):
            return Persisted.REPORTED_BEFORE, report
        await unit.announce(
            make_event(report_created(report), tenant=report.tenant, source=SOURCE, event_id=announcement_id(report))
        )
    return Persisted.CREATED, report


async def list_reports(query: WorklistQuery, *, scope: Scope, reports: ReportStore) -> WorklistPage:
    """One page of the scope's worklist."""
    async with reports.transaction(scope) as unit:
        return page_of(await unit.search(query), query.limit)


async def get_report(report_id: UUID, *, scope: Scope, reports: ReportStore) -> Report:
    """One report.

    Raises:
        NotFound: there is none, or it is someone else's.
    """
    async with reports.transaction(scope) as unit:
        report = await unit.find(report_id)
    if report is None:
        raise NotFound(code="report_not_found", detail="You have no report of this identifier.")
    return report


@dataclass(frozen=True, slots=True)
class FetchedRendering:
    """A rendering's bytes, or None where the caller has them already, and the tag of what is stored now."""

    etag: str
    body: bytes | None


async def fetch_rendering(
    report_id: UUID,
    rendering: Rendering,
    *,
    known: Callable[[str], bool],
    scope: Scope,
    reports: ReportStore,
    objects: ObjectStore,
) -> FetchedRendering:
    """A picture or array of a report. `known` says of a tag whether the caller holds those bytes.

    Raises:
        NotFound: no such report for this scope, or its object is gone.
    """
    report = await get_report(report_id, scope=scope, reports=reports)
    key = report.object_key(rendering)
    stat = await objects.stat(key)
    if stat is None:
        raise _rendering_gone(rendering)
    if known(stat.etag):
        return FetchedRendering(stat.etag, None)
    try:
        return FetchedRendering(stat.etag, await objects.get(key))
    except ObjectNotFound as error:
        raise _rendering_gone(rendering) from error


def _rendering_gone(rendering: Rendering) -> NotFound:
    return NotFound(code="rendering_not_found", detail=f"The object store no longer has this report's {rendering}.")
