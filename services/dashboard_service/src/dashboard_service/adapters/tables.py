"""The tables of the schema `dashboard`; Alembic makes them (migrations/), these only map them."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Index, SmallInteger, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from radrelay_shared.database import InboxColumns, metadata_for


class Base(DeclarativeBase):
    """Base of this service's tables."""

    metadata = metadata_for("dashboard")
    type_annotation_map = {str: Text, datetime: DateTime(timezone=True)}  # noqa: RUF012  # SQLAlchemy reads it as it is


class GenerationRow(Base):
    """The read models of a tenant: the one that is shown, and the one that a rebuild makes beside it."""

    __tablename__ = "generations"
    __table_args__ = (Index("uq_generations_tenant_state", "tenant", "state", unique=True),)

    tenant: Mapped[str] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    state: Mapped[str]
    time_zone: Mapped[str] = mapped_column(comment="IANA name; its days are those of the rollups")


class CaseRow(Base):
    """One report, as far as it is counted; of an erased one, only what a late repeat of its events is known by."""

    __tablename__ = "cases"
    __table_args__ = (Index(None, "tenant", "generation", "image"),)

    tenant: Mapped[str] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    report: Mapped[UUID] = mapped_column(primary_key=True, comment="Fingerprint of the report")
    image: Mapped[UUID] = mapped_column(comment="Fingerprint of the image")
    owner_id: Mapped[str | None]
    received_at: Mapped[datetime | None]
    created_at: Mapped[datetime | None]
    modality: Mapped[str | None]
    model_digest: Mapped[str | None]
    model_label: Mapped[str | None]
    urgency: Mapped[str | None]
    priority: Mapped[str | None]
    positive: Mapped[bool | None]
    confidence: Mapped[Decimal | None]
    probability_bin: Mapped[int | None] = mapped_column(SmallInteger)
    turnaround_bin: Mapped[int | None] = mapped_column(SmallInteger)
    review_version: Mapped[int]
    verdict: Mapped[str | None]
    erased: Mapped[bool]
    erased_at: Mapped[datetime | None]


class FailureRow(Base):
    """One image whose last submission failed; it counts while no report of the image is known."""

    __tablename__ = "failures"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    image: Mapped[UUID] = mapped_column(primary_key=True, comment="Fingerprint of the image")
    owner_id: Mapped[str]
    received_at: Mapped[datetime]
    reason: Mapped[str]
    submission: Mapped[int] = mapped_column(BigInteger)
    failed_at: Mapped[datetime]


class RollupColumns:
    """Where a rollup lies; each case is in six, of its owner and of the tenant by hour, day and month."""

    tenant: Mapped[str] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    grain: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(primary_key=True, comment="Empty for the whole tenant")
    start: Mapped[datetime] = mapped_column(
        DateTime(timezone=False), primary_key=True, comment="In the time zone of the generation"
    )


class CaseRollupRow(RollupColumns, Base):
    """Reported images, counted."""

    __tablename__ = "case_rollups"

    modality: Mapped[str] = mapped_column(primary_key=True)
    model_digest: Mapped[str] = mapped_column(primary_key=True)
    model_label: Mapped[str] = mapped_column(primary_key=True)
    urgency: Mapped[str] = mapped_column(primary_key=True)
    cases: Mapped[int] = mapped_column(BigInteger)
    positives: Mapped[int] = mapped_column(BigInteger)
    agreed: Mapped[int] = mapped_column(BigInteger)
    disagreed: Mapped[int] = mapped_column(BigInteger)
    unsure: Mapped[int] = mapped_column(BigInteger)
    positives_agreed: Mapped[int] = mapped_column(BigInteger)
    positives_disagreed: Mapped[int] = mapped_column(BigInteger)
    positives_unsure: Mapped[int] = mapped_column(BigInteger)
    confidence_sum: Mapped[Decimal]


class ProbabilityRollupRow(RollupColumns, Base):
    """Reported images by bin of their probability; by day and month only."""

    __tablename__ = "probability_rollups"

    bin: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    cases: Mapped[int] = mapped_column(BigInteger)
    positives: Mapped[int] = mapped_column(BigInteger)


class TurnaroundRollupRow(RollupColumns, Base):
    """Reported images by bin of the time from upload to report; by day and month only."""

    __tablename__ = "turnaround_rollups"

    priority: Mapped[str] = mapped_column(primary_key=True)
    bin: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    cases: Mapped[int] = mapped_column(BigInteger)


class FailureRollupRow(RollupColumns, Base):
    """Images that got no result, counted; by day and month only."""

    __tablename__ = "failure_rollups"

    reason: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(BigInteger)


ROLLUPS = (CaseRollupRow, ProbabilityRollupRow, TurnaroundRollupRow, FailureRollupRow)


class InboxRow(InboxColumns, Base):
    """Events counted."""

    __tablename__ = "inbox"
