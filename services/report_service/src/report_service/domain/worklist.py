"""The order in which reports are read, and how a reader goes from page to page.

Most urgent first; within an urgency, the image that has waited longest first.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from radrelay_shared.events import Urgency
from report_service.domain.report import Report


@dataclass(frozen=True, slots=True)
class Position:
    """A report's place in the worklist: the three together are unique within a tenant and totally ordered."""

    urgency: Urgency
    received_at: datetime
    report_id: UUID

    @classmethod
    def of(cls, report: Report) -> "Position":
        """Where a report stands."""
        return cls(report.urgency, report.received_at, report.report_id)


@dataclass(frozen=True, slots=True)
class WorklistQuery:
    """Which part of the worklist is asked for; a filter that is None lets everything through."""

    limit: int
    after: Position | None = None
    batch_id: UUID | None = None
    urgency: Urgency | None = None


@dataclass(frozen=True, slots=True)
class WorklistPage:
    """Some reports in worklist order, and where the next page begins: None on the last."""

    reports: tuple[Report, ...]
    next_after: Position | None


def page_of(found: list[Report], limit: int) -> WorklistPage:
    """The page from a search for one report more than `limit`: a surplus says that there is a next page."""
    kept = tuple(found[:limit])
    return WorklistPage(kept, Position.of(kept[-1]) if len(found) > limit else None)
