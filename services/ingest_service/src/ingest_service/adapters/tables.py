"""The tables of the `ingest` schema. Every unique key starts with the tenant, so that none tells of another."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from radrelay_shared.database import InboxColumns, OutboxColumns, metadata_for


class Base(DeclarativeBase):
    """Base of the mapped tables."""

    metadata = metadata_for("ingest")
    type_annotation_map: ClassVar = {str: Text, datetime: DateTime(timezone=True)}


class BatchRow(Base):
    """A batch."""

    __tablename__ = "batch"
    __table_args__ = (Index(None, "tenant", "owner_id", "created_at"),)

    tenant: Mapped[str] = mapped_column(primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[str]
    label: Mapped[str | None]
    priority: Mapped[str]
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class InstanceRow(Base):
    """A stored image, once per content and owner."""

    __tablename__ = "instance"
    __table_args__ = (
        UniqueConstraint("tenant", "owner_id", "sop_instance_uid"),
        ForeignKeyConstraint(["tenant", "batch_id"], ["ingest.batch.tenant", "ingest.batch.batch_id"]),
        CheckConstraint("status IN ('queued', 'processing', 'reported', 'failed')", name="status_known"),
        CheckConstraint("(status = 'failed') = (reason IS NOT NULL)", name="failure_has_reason"),
        CheckConstraint("(status = 'reported') = (report_id IS NOT NULL)", name="reported_has_report"),
        Index("ix_instance_unfinished", "status_at", postgresql_where=text("status IN ('queued', 'processing')")),
    )

    tenant: Mapped[str] = mapped_column(primary_key=True)
    instance_id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[str]
    batch_id: Mapped[UUID]
    sop_instance_uid: Mapped[str]
    sop_class_uid: Mapped[str]
    study_instance_uid: Mapped[str]
    series_instance_uid: Mapped[str]
    modality: Mapped[str]
    body_part: Mapped[str | None]
    transfer_syntax_uid: Mapped[str]
    rows: Mapped[int]
    columns: Mapped[int]
    frames: Mapped[int]
    object_key: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    priority: Mapped[str]
    received_at: Mapped[datetime]
    status: Mapped[str]
    status_at: Mapped[datetime]
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    report_id: Mapped[UUID | None]


class BatchFileRow(Base):
    """A file of a batch: it points to its image, or says why it was refused."""

    __tablename__ = "batch_file"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "batch_id"], ["ingest.batch.tenant", "ingest.batch.batch_id"]),
        ForeignKeyConstraint(["tenant", "instance_id"], ["ingest.instance.tenant", "ingest.instance.instance_id"]),
        CheckConstraint("(instance_id IS NULL) = (reason IS NOT NULL)", name="accepted_or_refused"),
        Index(None, "tenant", "instance_id"),
    )

    tenant: Mapped[str] = mapped_column(primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str]
    instance_id: Mapped[UUID | None]
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    received_at: Mapped[datetime]


class AuditRow(Base):
    """A record of the audit chain; a trigger refuses changing or removing one."""

    __tablename__ = "audit"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    actor: Mapped[str]
    action: Mapped[str]
    at: Mapped[datetime]
    batch_id: Mapped[UUID | None]
    instance_id: Mapped[UUID | None]
    fingerprint: Mapped[str | None]
    reason: Mapped[str | None]
    prev_hash: Mapped[str]
    hash: Mapped[str]


class OutboxRow(OutboxColumns, Base):
    """An event that waits to be published, or was."""

    __tablename__ = "outbox"


class InboxRow(InboxColumns, Base):
    """An event that was applied."""

    __tablename__ = "inbox"
