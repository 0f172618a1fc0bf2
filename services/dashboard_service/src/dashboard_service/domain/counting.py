"""What the events say, as far as it is counted.

Reports and images are known by a fingerprint of their identifiers only: who reads these tables learns of no report,
and what stays of an erased one means nothing to anybody who does not hold its identifier.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from dashboard_service.domain.bins import probability_bin, turnaround_bin
from radrelay_shared.events import InferenceFailed, ReportCreated, ReportErased, ReportReviewed, Urgency, Verdict


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
    """One reported image, as it was reported or reviewed."""

    tenant: str
    report: UUID
    """Fingerprint of the report."""
    image: UUID
    """Fingerprint of the image."""
    owner_id: str
    received_at: datetime
    created_at: datetime
    modality: str
    model_digest: str
    model_label: str
    urgency: Urgency
    priority: Urgency | None
    """What was asked for at upload; None where the event does not say it, as a review does not."""
    positive: bool
    confidence: Decimal
    """0 to 1; a decimal because sums of floats depend on their order."""
    probability_bin: int
    turnaround_bin: int
    review_version: int = 0
    """0 where the event is no review; of two reviews the higher stands."""
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Erasure:
    """One report that is gone."""

    tenant: str
    report: UUID
    image: UUID
    erased_at: datetime
    """The image may be sent again later, and fail."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One image that got no result. Of several of an image the last submission's stands."""

    tenant: str
    image: UUID
    owner_id: str
    received_at: datetime
    reason: str
    submission: int
    failed_at: datetime


Change = Case | Erasure | Failure


def change_of(tenant: str, data: ReportCreated | ReportReviewed | ReportErased | InferenceFailed) -> Change:
    """What an event changes.

    Raises:
        Uncountable: a field holds what no database can keep.
    """
    if isinstance(data, InferenceFailed):
        return _failure(tenant, data)
    if isinstance(data, ReportErased):
        erased_at = _moment("erased_at", data.erased_at)
        return Erasure(tenant, fingerprint(tenant, data.report_id), fingerprint(tenant, data.instance_id), erased_at)
    return _case(tenant, data)


def fingerprint(tenant: str, identifier: UUID) -> UUID:
    """128 bits of the SHA-256 of tenant and identifier."""
    return UUID(bytes=hashlib.sha256(tenant.encode() + b"/" + identifier.bytes).digest()[:16])


def _case(tenant: str, report: ReportCreated | ReportReviewed) -> Case:
    review = report if isinstance(report, ReportReviewed) else None
    received_at = _moment("received_at", report.received_at)
    created_at = _moment("created_at", report.created_at)
    return Case(
        tenant=tenant,
        report=fingerprint(tenant, report.report_id),
        image=fingerprint(tenant, report.instance_id),
        owner_id=_text("owner_id", report.owner_id),
        received_at=received_at,
        created_at=created_at,
        modality=_text("modality", report.modality),
        model_digest=report.model.digest,
        model_label=_text("model.label", report.model.label),
        urgency=report.urgency,
        priority=report.priority if isinstance(report, ReportCreated) else None,
        positive=report.positive,
        # The shortest decimal that reads back as this float, which is also what the event's JSON said.
        confidence=Decimal(repr(report.confidence)),
        probability_bin=probability_bin(report.probability),
        turnaround_bin=turnaround_bin((created_at - received_at).total_seconds()),
        review_version=review.review_version if review else 0,
        verdict=review.verdict if review else None,
    )


def _failure(tenant: str, failed: InferenceFailed) -> Failure:
    return Failure(
        tenant=tenant,
        image=fingerprint(tenant, failed.instance_id),
        owner_id=_text("owner_id", failed.owner_id),
        received_at=_moment("received_at", failed.received_at),
        reason=failed.reason,
        submission=failed.submission,
        failed_at=_moment("failed_at", failed.failed_at),
    )


def _text(name: str, value: str) -> str:
    if "\0" in value:
        raise Uncountable("unstorable_text", f"{name} holds U+0000")
    return value


def _moment(name: str, moment: datetime) -> datetime:
    try:
        in_utc = moment.astimezone(UTC)
        # Its day exists in every time zone, and its month has an end.
        for distance in (timedelta(days=-32), timedelta(days=32)):
            in_utc + distance
    except OverflowError as error:
        raise Uncountable("impossible_time", f"{name} lies outside the calendar") from error
    return in_utc
