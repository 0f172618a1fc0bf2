"""What a clinician thinks of a report. Each review is a version; the last one stands."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import NAMESPACE_URL, UUID, uuid5

from radrelay_shared.events import ReportReviewed, Verdict
from report_service.domain.region import ImpossibleRegion, Region
from report_service.domain.report import Report, counted_by

MAX_NOTE_CHARACTERS = 4000
_NAMESPACE = uuid5(NAMESPACE_URL, "https://radrelay.org/review")


class Label(StrEnum):
    """What a reviewer sees, in terms of what the report's probability is about: its `finding`."""

    FINDING_PRESENT = "finding_present"
    FINDING_ABSENT = "finding_absent"
    OTHER_FINDING = "other_finding"
    """The finding is absent, and there is another that matters."""
    NOT_ASSESSABLE = "not_assessable"
    """The image does not let it be told."""


class ImpossibleReview(ValueError):
    """A review cannot be one of its report. `code` is stable, `detail` says what is wrong."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the reviewer says."""

    verdict: Verdict
    label: Label
    note: str | None
    """In their own words, kept as given: escape it wherever it is shown."""
    region: Region | None


@dataclass(frozen=True, slots=True)
class Review:
    """One version of a report's review; never changed."""

    tenant: str
    report_id: UUID
    owner_id: str
    """The report's owner, who sees it."""
    version: int
    """1 for the first, without gaps."""
    judgement: Judgement
    reviewer: str
    """Their `sub`."""
    reviewed_at: datetime


def check_judgement(judgement: Judgement, report: Report) -> None:
    """Go on only with a judgement that can be one of this report.

    Raises:
        ImpossibleReview: the label contradicts the verdict, the note cannot be kept, or the region is none of the
            image.
    """
    stated = Label.FINDING_PRESENT if report.positive else Label.FINDING_ABSENT
    if judgement.verdict is Verdict.AGREE and judgement.label is not stated:
        raise ImpossibleReview("contradictory_review", f"Who agrees with this report says `{stated}`.")
    if judgement.verdict is Verdict.DISAGREE and judgement.label is stated:
        raise ImpossibleReview("contradictory_review", "Who disagrees says something else than the report.")
    if judgement.note is not None and "\0" in judgement.note:
        raise ImpossibleReview("unstorable_note", "`note` holds U+0000.")
    _check_region(judgement.region, report)


def _check_region(region: Region | None, report: Report) -> None:
    if region is None:
        return
    if report.picture is None:
        raise ImpossibleReview("no_image_size", "This report was made before the size of its image was kept.")
    try:
        region.check_within(rows=report.picture.rows, columns=report.picture.columns)
    except ImpossibleRegion as error:
        raise ImpossibleReview("region_outside_image", f"`region`: {error}.") from error


def reviewed_event_id(report_id: UUID, version: int) -> str:
    """The identifier of the `report.reviewed` event of a version."""
    return str(uuid5(_NAMESPACE, json.dumps([str(report_id), version])))


def report_reviewed(report: Report, review: Review, previous: Review | None) -> ReportReviewed:
    """What others are told of a review: all but the note and the region."""
    return ReportReviewed(
        **counted_by(report),
        review_version=review.version,
        verdict=review.judgement.verdict,
        label=review.judgement.label,
        reviewer=review.reviewer,
        reviewed_at=review.reviewed_at,
        previous_verdict=None if previous is None else previous.judgement.verdict,
    )
