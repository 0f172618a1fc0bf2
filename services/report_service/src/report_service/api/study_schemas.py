"""What the API answers of studies and patients."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from radrelay_shared.events import Urgency
from report_service.api.schemas import PatientView, ReportView
from report_service.domain.patients import PatientVaults
from report_service.domain.studies import History, StudyReport


class TallyView(BaseModel):
    """What images come to together."""

    model_config = ConfigDict(from_attributes=True)

    images: int
    positive_images: int = Field(description="With at least one report that finds something.")
    reports: int
    unreviewed_reports: int
    urgency: Urgency = Field(description="Of the most urgent report.")
    first_received_at: datetime
    last_received_at: datetime


class SeriesView(BaseModel):
    """A series of a study."""

    model_config = ConfigDict(from_attributes=True)

    series_instance_uid: str
    modalities: tuple[str, ...]
    tally: TallyView


class StudyReportView(BaseModel):
    """A study, or one series of it, as its image reports come to."""

    study_instance_uid: str
    patient: PatientView | None = Field(description="Null where no patient is kept.")
    tally: TallyView
    series: list[SeriesView]
    key_images: list[ReportView] = Field(
        description="At most 6: the most urgent first, then what is positive, then the most probable."
    )
    notice: str = Field(description="What it may be used for: show it wherever the study is shown.")

    @classmethod
    def of(cls, study: StudyReport, patients: PatientVaults) -> Self:
        """The view of a study."""
        key_images = [ReportView.of(report, patients) for report in study.key_images]
        return cls(
            study_instance_uid=study.study_instance_uid,
            patient=key_images[0].patient,
            tally=TallyView.model_validate(study.tally),
            series=[SeriesView.model_validate(each) for each in study.series],
            key_images=key_images,
            notice=study.most_urgent.notice,
        )


class HistoryEntryView(BaseModel):
    """What one batch brought of one study."""

    model_config = ConfigDict(from_attributes=True)

    study_instance_uid: str
    batch_id: UUID
    tally: TallyView


class HistoryView(BaseModel):
    """What batches brought, the newest first."""

    entries: list[HistoryEntryView] = Field(description="At most 500.")
    is_cut: bool = Field(description="Whether there are older ones.")

    @classmethod
    def of(cls, history: History) -> Self:
        """The view of a history."""
        return cls(entries=[HistoryEntryView.model_validate(entry) for entry in history.entries], is_cut=history.is_cut)
