"""The tables of the schema `report`; Alembic makes them (migrations/), these only map them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Dialect, ForeignKeyConstraint, SmallInteger, Text, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from radrelay_shared.audit.tables import AuditColumns, AuditHeadColumns
from radrelay_shared.database import InboxColumns, OutboxColumns, metadata_for
from radrelay_shared.events import Picture, Provenance, Urgency
from report_service.domain.region import Region
from report_service.domain.report import ReviewState

_RANKS = {urgency: rank for rank, urgency in enumerate(Urgency)}
_URGENCIES = tuple(Urgency)


class UrgencyRank(TypeDecorator[Urgency]):
    """An urgency as its rank, 0 the most urgent, so that the worklist's order is the index' order.

    Not an enumerated type: PostgreSQL's comparisons of those are not leakproof, and under row security a comparison
    that is not cannot be an index condition (PostgreSQL documentation, "Rules and Privileges").
    """

    impl = SmallInteger
    cache_ok = True

    def process_bind_param(self, value: Urgency | None, dialect: Dialect) -> int | None:
        """The rank of an urgency."""
        del dialect
        return None if value is None else _RANKS[value]

    def process_result_value(self, value: int | None, dialect: Dialect) -> Urgency | None:
        """The urgency of a rank."""
        del dialect
        return None if value is None else _URGENCIES[value]


class ReviewStateText(TypeDecorator[ReviewState]):
    """What became of a report in review, as text: comparisons of text are leakproof."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: ReviewState | None, dialect: Dialect) -> str | None:
        """The state's code."""
        del dialect
        return None if value is None else value.value

    def process_result_value(self, value: str | None, dialect: Dialect) -> ReviewState | None:
        """The state of a code."""
        del dialect
        return None if value is None else ReviewState(value)


class ModelJson(TypeDecorator[BaseModel]):
    """A part of a result as one JSON object: it is read whole and never searched."""

    impl = JSONB(none_as_null=True)
    cache_ok = True

    def __init__(self, model: type[BaseModel]) -> None:
        super().__init__()
        self.model = model

    def process_bind_param(self, value: BaseModel | None, dialect: Dialect) -> dict[str, Any] | None:
        """The object's fields."""
        del dialect
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: dict[str, Any] | None, dialect: Dialect) -> BaseModel | None:
        """The object."""
        del dialect
        return None if value is None else self.model.model_validate(value)


class Base(DeclarativeBase):
    """Base of this service's tables."""

    metadata = metadata_for("report")
    type_annotation_map = {str: Text, datetime: TIMESTAMP(timezone=True)}  # noqa: RUF012  # SQLAlchemy reads it as it is


class StudyRow(Base):
    """A study of one owner, and its patient as far as that is known."""

    __tablename__ = "studies"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    study_id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[str]
    study_instance_uid: Mapped[str]
    patient_hash: Mapped[bytes | None]
    patient_sealed: Mapped[bytes | None]
    patient_due_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    patient_attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    patient_fault: Mapped[str | None]


class SeriesRow(Base):
    """A series of a study."""

    __tablename__ = "series"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    series_id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[str]
    study_id: Mapped[UUID]
    series_instance_uid: Mapped[str]


class InstanceRow(Base):
    """An image of a series; rows are added and read, never changed."""

    __tablename__ = "instances"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(primary_key=True)
    instance_id: Mapped[UUID] = mapped_column(primary_key=True)
    series_id: Mapped[UUID]
    sop_instance_uid: Mapped[str]
    sop_class_uid: Mapped[str]
    body_part: Mapped[str | None]
    instance_number: Mapped[int | None]
    source_key: Mapped[str]


class KindRow(Base):
    """What a model says of images of a modality: there are few of them, and reports by the million of each."""

    __tablename__ = "kinds"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    kind_id: Mapped[UUID] = mapped_column(primary_key=True)
    modality: Mapped[str]
    finding: Mapped[str]
    positive: Mapped[bool]
    model_digest: Mapped[str]
    model_name: Mapped[str]
    model_version: Mapped[str]
    model_label: Mapped[str]
    model_intended_use: Mapped[str]


class ReportRow(Base):
    """One report; of a row that is there only `review_state` changes."""

    __tablename__ = "reports"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[str]
    study_id: Mapped[UUID]
    instance_id: Mapped[UUID]
    batch_id: Mapped[UUID]
    kind_id: Mapped[UUID]
    provenance: Mapped[Provenance | None] = mapped_column(ModelJson(Provenance))
    probability_raw: Mapped[float]
    probability: Mapped[float]
    confidence: Mapped[float]
    urgency: Mapped[Urgency] = mapped_column(UrgencyRank, comment="0 stat, 1 urgent, 2 routine")
    review_state: Mapped[ReviewState] = mapped_column(ReviewStateText, server_default="unreviewed")
    picture: Mapped[Picture | None] = mapped_column(ModelJson(Picture))
    heatmap_npy: Mapped[bytes | None]
    received_at: Mapped[datetime]
    completed_at: Mapped[datetime]
    created_at: Mapped[datetime]


class ReviewRow(Base):
    """A version of a report's review; rows are added and read, never changed."""

    __tablename__ = "reviews"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "report_id"], ["report.reports.tenant", "report.reports.report_id"]),
    )

    tenant: Mapped[str] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner_id: Mapped[str]
    reviewer: Mapped[str]
    verdict: Mapped[str]
    label: Mapped[str]
    note: Mapped[str | None]
    region: Mapped[Region | None] = mapped_column(ModelJson(Region))
    reviewed_at: Mapped[datetime]


class ErasureRow(Base):
    """An erasure that was asked for; what it is of is forgotten when it is done."""

    __tablename__ = "erasures"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    erasure_id: Mapped[UUID] = mapped_column(primary_key=True)
    reason: Mapped[str]
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    study_instance_uid: Mapped[str | None]
    instance_id: Mapped[UUID | None]
    reports: Mapped[int]
    done_at: Mapped[datetime | None]


class ErasedMarkRow(Base):
    """Stands for something that was erased."""

    __tablename__ = "erased_marks"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    erased_at: Mapped[datetime]


class ErasureLeftoverRow(Base):
    """An erased report whose objects and published events are not removed yet."""

    __tablename__ = "erasure_leftovers"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    erasure_id: Mapped[UUID | None]
    instance_id: Mapped[UUID]
    erased_at: Mapped[datetime]


class DestinationRow(Base):
    """A place that results are sent to."""

    __tablename__ = "destinations"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    destination_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    url: Mapped[str]
    topics: Mapped[list[str]] = mapped_column(ARRAY(Text))
    secret_sealed: Mapped[bytes]
    version: Mapped[int]
    paused: Mapped[str | None]
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    changed_at: Mapped[datetime]
    failures: Mapped[int] = mapped_column(server_default="0")
    rests_until: Mapped[datetime | None]


class DeliveryRow(Base):
    """An event on its way to a destination; what it says is forgotten when it is delivered."""

    __tablename__ = "deliveries"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    destination_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)
    event_type: Mapped[str]
    report_id: Mapped[UUID | None]
    payload: Mapped[bytes | None]
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default="0")
    last_status: Mapped[int | None] = mapped_column(SmallInteger)
    last_reason: Mapped[str | None]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class AuditRow(AuditColumns, Base):
    """A record of the audit chain."""

    __tablename__ = "audit"

    report_id: Mapped[UUID | None]
    destination_id: Mapped[UUID | None]


class AuditHeadRow(AuditHeadColumns, Base):
    """How far a tenant's audit chain was published."""

    __tablename__ = "audit_head"


class OutboxRow(OutboxColumns, Base):
    """Events to publish."""

    __tablename__ = "outbox"


class InboxRow(InboxColumns, Base):
    """Events dealt with."""

    __tablename__ = "inbox"
