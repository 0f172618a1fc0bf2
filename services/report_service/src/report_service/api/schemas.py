"""What the API answers."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from radrelay_shared.events import ModelRef, Provenance, Urgency
from report_service.api import cursor
from report_service.domain.patients import PatientVaults
from report_service.domain.report import Report, ReviewState
from report_service.domain.worklist import COUNTED_UP_TO, Counts, WorklistPage


class PatientView(BaseModel):
    """How the hospital names the patient."""

    patient_id: str
    issuer: str | None = Field(description="Issuer of Patient ID; null where the images do not say it.")


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
    instance_number: int | None = Field(description="The image's place in its series; null where it has none.")
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
    review_state: ReviewState
    patient: PatientView | None = Field(default=None, description="Null where it is not kept, or not yet.")

    @classmethod
    def of(cls, report: Report, patients: PatientVaults) -> "ReportView":
        """The view of a report."""
        view = cls.model_validate(report)
        patient = patients.open(report.tenant, report.study_id, report.sealed_patient)
        if patient is not None:
            view.patient = PatientView(patient_id=patient.patient_id, issuer=patient.issuer)
        return view


class ReportPage(BaseModel):
    """Reports, most urgent first, then the longest waiting first."""

    reports: list[ReportView]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last.")

    @classmethod
    def of(cls, page: WorklistPage, patients: PatientVaults) -> "ReportPage":
        """The view of a worklist page."""
        return cls(
            reports=[ReportView.of(report, patients) for report in page.reports],
            next_cursor=None if page.next_after is None else cursor.encode(page.next_after),
        )


class CountView(BaseModel):
    """How many reports there are of one urgency and review state."""

    urgency: Urgency
    review_state: ReviewState
    reports: int = Field(description="Exact unless `is_more`.")
    is_more: bool = Field(description="Whether there are more than `reports`.")


class CountsView(BaseModel):
    """Reports by urgency and review state; what is not named has none."""

    counts: list[CountView]

    @classmethod
    def of(cls, counts: Counts) -> "CountsView":
        """The view of counts, the most urgent first."""
        cells = [(urgency, state) for urgency in Urgency for state in ReviewState]
        return cls(
            counts=[
                CountView(
                    urgency=urgency,
                    review_state=state,
                    reports=min(counts[urgency, state], COUNTED_UP_TO),
                    is_more=counts[urgency, state] > COUNTED_UP_TO,
                )
                for urgency, state in cells
                if (urgency, state) in counts
            ]
        )
