"""The order in which reports are read, what of them is asked for, and how a reader goes from page to page.

Most urgent first; within an urgency, the image that has waited longest first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from radrelay_shared.events import Urgency
from report_service.domain.report import Report, ReviewState

COUNTED_UP_TO: Final = 1_000
"""Reports of one urgency and review state are counted so far; beyond that there are "more"."""


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
class Filters:
    """Which reports are asked for; a filter that is None lets everything through."""

    batch_id: UUID | None = None
    urgency: Urgency | None = None
    review_state: ReviewState | None = None
    finding: str | None = None
    positive: bool | None = None
    modality: str | None = None
    model_digest: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    patient_hash: bytes | None = None
    """Of the patient's identifier; see `domain.patients`."""
    received_from: datetime | None = None
    """Images received at this moment or later."""
    received_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class WorklistQuery(Filters):
    """Which part of the worklist is asked for."""

    limit: int = 50
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class WorklistPage:
    """Some reports in worklist order, and where the next page begins: None on the last."""

    reports: tuple[Report, ...]
    next_after: Position | None


Counts = Mapping[tuple[Urgency, ReviewState], int]
"""Reports by urgency and review state; `COUNTED_UP_TO` + 1 means more than `COUNTED_UP_TO`."""


def page_of(found: list[Report], limit: int) -> WorklistPage:
    """The page from a search for one report more than `limit`: a surplus says that there is a next page."""
    kept = tuple(found[:limit])
    return WorklistPage(kept, Position.of(kept[-1]) if len(found) > limit else None)
