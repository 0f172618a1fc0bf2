"""What the public API answers, as far as a sender of images needs it. Fields that are not listed are ignored."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from radrelay_shared.events import ModelRef, Urgency


class Answer(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class BatchState(StrEnum):
    """How far a batch has come."""

    RECEIVING = "receiving"
    PROCESSING = "processing"
    DONE = "done"


class Counts(Answer):
    """Files of a batch by what became of them."""

    received: int
    queued: int
    processing: int
    reported: int
    failed: int
    rejected: int


class Batch(Answer):
    """A batch and its progress."""

    batch_id: UUID
    label: str | None
    priority: Urgency
    state: BatchState
    counts: Counts


class Accepted(Answer):
    """A file that was taken in."""

    name: str
    instance_id: UUID
    repeated: bool = False
    """The same image was here before: it is not screened again."""


class Rejected(Answer):
    """A file that was refused, and why."""

    name: str
    reason: str
    detail: str


class Receipt(Answer):
    """What one upload request brought."""

    accepted: list[Accepted]
    rejected: list[Rejected]


class BatchFile(Answer):
    """One file of a batch."""

    name: str
    status: str
    reason: str | None = None
    detail: str | None = None
    instance_id: UUID | None = None
    report_id: UUID | None = None


class Report(Answer):
    """One report."""

    report_id: UUID
    instance_id: UUID
    batch_id: UUID
    modality: str
    body_part: str | None
    finding: str
    positive: bool
    probability: float
    confidence: float
    urgency: Urgency
    model: ModelRef
    notice: str
    received_at: datetime


class UrgencyCounts(Answer):
    """Cases by triage urgency."""

    stat: int
    urgent: int
    routine: int


class DashboardSummary(Answer):
    """The dashboard's figures for one person or one tenant."""

    scope: str
    total_cases: int
    positive_cases: int
    positivity_rate: float | None
    average_confidence: float | None
    failed_cases: int
    by_urgency: UrgencyCounts
