"""Erasing reports: what is asked for, what stands in the way of its coming back, and what others are told."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field

from radrelay_shared.events import LastReview, ReportErased
from report_service.domain.report import Report, counted_by
from report_service.domain.review import Review

Days = Annotated[int, Field(ge=1, le=36_500)]
_NAMESPACE = uuid5(NAMESPACE_URL, "https://radrelay.org/erasure")


class ErasureReason(StrEnum):
    """Why something is erased."""

    PATIENT_REQUEST = "patient_request"
    MISTAKE = "mistake"
    """It should not have been sent."""
    RETENTION = "retention"
    """Its time has passed."""


class RetentionPolicy(BaseModel):
    """For how long a tenant's reports are kept, with their images, counted from when an image was received."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: Days | None = None
    """None: for ever."""
    days_by_modality: dict[str, Days] = Field(default_factory=dict)
    """For modalities that have a time of their own, such as `{"MG": 3650}`."""

    def received_before(self, now: datetime) -> Mapping[str | None, datetime]:
        """By modality: what was received before goes. None stands for all that are not named; none: nothing goes."""
        before: dict[str | None, datetime] = {} if self.days is None else {None: now - timedelta(days=self.days)}
        for modality, days in self.days_by_modality.items():
            before[modality] = now - timedelta(days=days)
        return before


@dataclass(frozen=True, slots=True)
class Target:
    """What an erasure is of: one of the two."""

    study_instance_uid: str | None
    instance_id: UUID | None


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure that somebody asked for. What it is of is forgotten when it is done."""

    tenant: str
    erasure_id: UUID
    reason: ErasureReason
    requested_by: str
    requested_at: datetime
    target: Target
    reports: int = 0
    """So many were erased."""
    done_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Leftover:
    """An erased report whose objects and published events are not removed yet."""

    tenant: str
    report_id: UUID
    erasure_id: UUID | None
    """None: its time had passed."""
    instance_id: UUID
    erased_at: datetime


class MarkKind(StrEnum):
    """What a mark is of."""

    REPORT = "report"
    STUDY = "study"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class Mark:
    """Stands for something that was erased, so that a result which comes late does not bring it back.

    A digest: it tells whoever has the identifier that it was erased, and nobody else anything.
    """

    kind: MarkKind
    digest: str

    @classmethod
    def of(cls, kind: MarkKind, tenant: str, identifier: UUID | str) -> "Mark":
        """The mark of a thing of a tenant."""
        return cls(kind, hashlib.sha256(f"{tenant}\x1f{kind}\x1f{identifier}".encode()).hexdigest())


def mark_of_target(tenant: str, target: Target) -> Mark:
    """The mark of what an erasure is of."""
    if target.study_instance_uid is not None:
        return Mark.of(MarkKind.STUDY, tenant, target.study_instance_uid)
    return Mark.of(MarkKind.INSTANCE, tenant, str(target.instance_id))


def marks_against(report: Report) -> tuple[Mark, ...]:
    """The marks that would keep a report from being made."""
    return (
        Mark.of(MarkKind.REPORT, report.tenant, report.report_id),
        Mark.of(MarkKind.STUDY, report.tenant, report.study_instance_uid),
        Mark.of(MarkKind.INSTANCE, report.tenant, report.instance_id),
    )


def successor_of(report: Report) -> Report:
    """The same report under another identifier: of the one that was erased, nothing is ever said again."""
    return replace(report, report_id=uuid5(_NAMESPACE, f"after:{report.report_id}"))


def report_erased(report: Report, review: Review | None, *, reason: ErasureReason, at: datetime) -> ReportErased:
    """What others are told, so that they can take the report out of what they counted."""
    return ReportErased(
        **counted_by(report),
        last_review=None if review is None else _last(review),
        reason=reason,
        erased_at=at,
    )


def erased_event_id(report_id: UUID) -> str:
    """The identifier of the `report.erased` event: a report is erased once."""
    return str(uuid5(_NAMESPACE, f"erased:{report_id}"))


def _last(review: Review) -> LastReview:
    return LastReview(
        version=review.version,
        verdict=review.judgement.verdict,
        label=review.judgement.label,
        reviewer=review.reviewer,
        reviewed_at=review.reviewed_at,
    )
