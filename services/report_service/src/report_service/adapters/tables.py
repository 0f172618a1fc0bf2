"""The tables of the schema `report`; Alembic makes them (migrations/), these only map them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Dialect, SmallInteger, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from radrelay_shared.database import InboxColumns, OutboxColumns, metadata_for
from radrelay_shared.events import Provenance, Urgency

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


class ProvenanceJson(TypeDecorator[Provenance]):
    """How a result was computed, as one JSON object: it is read whole and never searched."""

    impl = JSONB(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Provenance | None, dialect: Dialect) -> dict[str, Any] | None:
        """The object's fields."""
        del dialect
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: dict[str, Any] | None, dialect: Dialect) -> Provenance | None:
        """The object."""
        del dialect
        return None if value is None else Provenance.model_validate(value)


class Base(DeclarativeBase):
    """Base of this service's tables."""

    metadata = metadata_for("report")
    type_annotation_map = {str: Text, datetime: TIMESTAMP(timezone=True)}  # noqa: RUF012  # SQLAlchemy reads it as it is


class ReportRow(Base):
    """One report; rows are added and read, never changed."""

    __tablename__ = "reports"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[str]
    instance_id: Mapped[UUID]
    batch_id: Mapped[UUID]
    sop_instance_uid: Mapped[str]
    sop_class_uid: Mapped[str]
    study_instance_uid: Mapped[str]
    series_instance_uid: Mapped[str]
    modality: Mapped[str]
    body_part: Mapped[str | None]
    model_name: Mapped[str]
    model_version: Mapped[str]
    model_digest: Mapped[str]
    model_label: Mapped[str]
    model_intended_use: Mapped[str]
    provenance: Mapped[Provenance | None] = mapped_column(ProvenanceJson)
    finding: Mapped[str]
    positive: Mapped[bool]
    probability_raw: Mapped[float]
    probability: Mapped[float]
    confidence: Mapped[float]
    urgency: Mapped[Urgency] = mapped_column(UrgencyRank, comment="0 stat, 1 urgent, 2 routine")
    source_key: Mapped[str]
    preview_key: Mapped[str]
    overlay_key: Mapped[str]
    cam_key: Mapped[str]
    received_at: Mapped[datetime]
    completed_at: Mapped[datetime]
    created_at: Mapped[datetime]


class OutboxRow(OutboxColumns, Base):
    """Events to publish."""

    __tablename__ = "outbox"


class InboxRow(InboxColumns, Base):
    """Events dealt with."""

    __tablename__ = "inbox"
