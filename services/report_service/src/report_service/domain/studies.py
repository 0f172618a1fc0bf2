"""What there is of a whole study or series, and what happened to a study or patient from batch to batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from uuid import UUID

from radrelay_shared.events import Urgency
from report_service.domain.report import Report

KEY_IMAGES: Final = 6
"""How many images stand for a study or series."""
MAX_HISTORY: Final = 500
"""Entries of a history, the newest."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What images come to together."""

    images: int
    positive_images: int
    """With at least one report that finds something."""
    reports: int
    unreviewed_reports: int
    urgency: Urgency
    """Of the most urgent report."""
    first_received_at: datetime
    last_received_at: datetime

    @classmethod
    def sum(cls, parts: Sequence["Tally"]) -> Self:
        """Parts, of which there is at least one, that share no image, together."""
        order = list(Urgency)
        return cls(
            images=sum(part.images for part in parts),
            positive_images=sum(part.positive_images for part in parts),
            reports=sum(part.reports for part in parts),
            unreviewed_reports=sum(part.unreviewed_reports for part in parts),
            urgency=min((part.urgency for part in parts), key=order.index),
            first_received_at=min(part.first_received_at for part in parts),
            last_received_at=max(part.last_received_at for part in parts),
        )


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """A series."""

    series_instance_uid: str
    modalities: tuple[str, ...]
    """One, unless files are damaged."""
    tally: Tally


@dataclass(frozen=True, slots=True)
class StudyReport:
    """A study, or one series of it, as its reports come to."""

    study_instance_uid: str
    series: tuple[SeriesSummary, ...]
    """At least one."""
    key_images: tuple[Report, ...]
    """Most urgent first; within an urgency positive ones first, then the most probable; at least one."""

    @property
    def tally(self) -> Tally:
        """All series together."""
        return Tally.sum([each.tally for each in self.series])

    @property
    def most_urgent(self) -> Report:
        """The report to look at first."""
        return self.key_images[0]


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """What one batch brought of one study."""

    study_instance_uid: str
    batch_id: UUID
    tally: Tally


@dataclass(frozen=True, slots=True)
class History:
    """Entries, the newest first."""

    entries: tuple[HistoryEntry, ...]
    is_cut: bool
    """Whether there are older ones than these."""


def history_of(found: Sequence[HistoryEntry]) -> History:
    """The history from a search for one entry more than `MAX_HISTORY`."""
    return History(tuple(found[:MAX_HISTORY]), len(found) > MAX_HISTORY)
