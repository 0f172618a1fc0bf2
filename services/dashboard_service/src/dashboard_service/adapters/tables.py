"""The tables of the schema `dashboard`; Alembic makes them (migrations/), these only map them."""

from datetime import date
from decimal import Decimal

from sqlalchemy import BigInteger, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from radrelay_shared.database import InboxColumns, metadata_for

_DAY = "UTC day on which the images were received"


class Base(DeclarativeBase):
    """Base of this service's tables."""

    metadata = metadata_for("dashboard")
    type_annotation_map = {str: Text}  # noqa: RUF012  # SQLAlchemy reads it as it is


class CaseRollupRow(Base):
    """Reported images, counted."""

    __tablename__ = "case_rollups"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True, comment=_DAY)
    modality: Mapped[str] = mapped_column(primary_key=True)
    model_digest: Mapped[str] = mapped_column(primary_key=True)
    model_label: Mapped[str] = mapped_column(primary_key=True)
    urgency: Mapped[str] = mapped_column(primary_key=True)
    cases: Mapped[int] = mapped_column(BigInteger)
    positives: Mapped[int] = mapped_column(BigInteger)
    confidence_sum: Mapped[Decimal]


class FailureRollupRow(Base):
    """Images that got no result, counted."""

    __tablename__ = "failure_rollups"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True, comment=_DAY)
    reason: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(BigInteger)


class InboxRow(InboxColumns, Base):
    """Events counted."""

    __tablename__ = "inbox"
