"""What one event adds to the counts.

Every addition commutes, so that the counts are the same in whatever order events come.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from radrelay_shared.events import InferenceFailed, ReportCreated, Urgency


class Uncountable(ValueError):
    """An event fits its contract and yet cannot be counted; no repeat will make it so.

    `reason` is a stable code, `detail` names the place and never a value.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Case:
    """One reported image, as far as it is counted."""

    tenant: str
    owner_id: str
    day: date
    """UTC day on which the image was received."""
    modality: str
    model_digest: str
    model_label: str
    urgency: Urgency
    positive: bool
    confidence: Decimal
    """0 to 1; a decimal because sums of floats depend on their order."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One image that got no result, as far as it is counted."""

    tenant: str
    owner_id: str
    day: date
    """UTC day on which the image was received."""
    reason: str


def case_of(tenant: str, report: ReportCreated) -> Case:
    """What a report adds.

    Raises:
        Uncountable: a field holds what no database can keep.
    """
    return Case(
        tenant=tenant,
        owner_id=_text("owner_id", report.owner_id),
        day=_day("received_at", report.received_at),
        modality=_text("modality", report.modality),
        model_digest=report.model.digest,
        model_label=_text("model.label", report.model.label),
        urgency=report.urgency,
        positive=report.positive,
        # The shortest decimal that reads back as this float, which is also what the event's JSON said.
        confidence=Decimal(repr(report.confidence)),
    )


def failure_of(tenant: str, failed: InferenceFailed) -> Failure:
    """What a failed image adds.

    Raises:
        Uncountable: a field holds what no database can keep.
    """
    return Failure(
        tenant=tenant,
        owner_id=_text("owner_id", failed.owner_id),
        day=_day("received_at", failed.received_at),
        reason=failed.reason,
    )


def _text(name: str, value: str) -> str:
    if "\0" in value:
        raise Uncountable("unstorable_text", f"{name} holds U+0000")
    return value


def _day(name: str, moment: datetime) -> date:
    try:
        return moment.astimezone(UTC).date()
    except OverflowError as error:
        raise Uncountable("impossible_time", f"{name} lies outside the calendar") from error
