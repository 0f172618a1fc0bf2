"""What the API answers."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from radrelay_shared.events import ModelRef, Provenance, Urgency
from report_service.api import cursor
from report_service.domain.report import Report
from report_service.domain.worklist import WorklistPage


class ReportView(BaseModel):
    """One report as clients see it."""

    model_config = ConfigDict(from_attributes=True)

    report_id: UUID
    instance_id: UUID
    batch_id: UUID
    owner_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    modality: str
    body_part: str | None
    finding: str = Field(description="What the probability is about.")
    positive: bool
    probability_raw: float = Field(description="Before calibration, 0 to 1.")
    probability: float = Field(description="Calibrated, 0 to 1.")
    confidence: float = Field(description="Calibrated probability that the statement made is right, 0 to 1.")
    urgency: Urgency
    model: ModelRef
    provenance: Provenance | None = Field(description="How the result was computed; null where it was not kept.")
    notice: str = Field(description="What the report may be used for: show it wherever the report is shown.")
    received_at: datetime
    completed_at: datetime
    created_at: datetime

    @classmethod
    def of(cls, report: Report) -> "ReportView":
        """The view of a report."""
        return cls.model_validate(report)


class ReportPage(BaseModel):
    """Reports, most urgent first, then the longest waiting first."""

    reports: list[ReportView]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last.")

    @classmethod
    def of(cls, page: WorklistPage) -> "ReportPage":
        """The view of a worklist page."""
        return cls(
            reports=[ReportView.of(report) for report in page.reports],
            next_cursor=None if page.next_after is None else cursor.encode(page.next_after),
        )
