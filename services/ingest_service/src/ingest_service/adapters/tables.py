"""The tables of the `ingest` schema. Every unique key starts with the tenant, so that none tells of another."""

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from radrelay_shared.audit.tables import AuditColumns, AuditHeadColumns
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
        CheckConstraint("status IN ('queued', 'processing', 'reported', 'failed', 'cancelled')", name="status_known"),
        CheckConstraint("(status = 'failed') = (reason IS NOT NULL)", name="failure_has_reason"),
        CheckConstraint("(status = 'reported') = (report_id IS NOT NULL)", name="reported_has_report"),
        Index(None, "tenant", "study_instance_uid"),
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
    instance_number: Mapped[int | None]
    transfer_syntax_uid: Mapped[str]
    rows: Mapped[int]
    columns: Mapped[int]
    frames: Mapped[int]
    object_key: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    priority: Mapped[str]
    received_at: Mapped[datetime]
    submission: Mapped[int] = mapped_column(server_default="1")
    status: Mapped[str]
    status_at: Mapped[datetime]
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    report_id: Mapped[UUID | None]
    lost_at: Mapped[datetime | None]
    """When its object was found gone, until it is there again."""
    traceparent: Mapped[str | None]
    """The span of the upload that first brought it."""


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
    cancelled_at: Mapped[datetime | None]
    """When it was cancelled before anybody began with it; its image may go on for another batch that holds it."""


class PseudonymRow(Base):
    """Who is behind a pseudonym: for the tenant's key only."""

    __tablename__ = "pseudonym"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    pseudonym: Mapped[str] = mapped_column(primary_key=True)
    sealed_patient_id: Mapped[bytes]
    created_at: Mapped[datetime]


class PseudonymImageRow(Base):
    """An image that carries a pseudonym."""

    __tablename__ = "pseudonym_image"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "pseudonym"], ["ingest.pseudonym.tenant", "ingest.pseudonym.pseudonym"]),
        Index(None, "tenant", "pseudonym"),
    )

    tenant: Mapped[str] = mapped_column(primary_key=True)
    instance_id: Mapped[UUID] = mapped_column(primary_key=True)
    pseudonym: Mapped[str]


class ErasureLeftoverRow(Base):
    """An erased image whose object and published events are not removed yet."""

    __tablename__ = "erasure_leftover"
    __table_args__ = (Index(None, "erased_at"),)

    tenant: Mapped[str] = mapped_column(primary_key=True)
    instance_id: Mapped[UUID] = mapped_column(primary_key=True)
    object_key: Mapped[str]
    erased_at: Mapped[datetime]


class AuditRow(AuditColumns, Base):
    """A record of the audit chain."""

    __tablename__ = "audit"


class AuditHeadRow(AuditHeadColumns, Base):
    """How far a tenant's audit chain was published."""

    __tablename__ = "audit_head"


class RejectedFileRow(Base):
    """A file that was refused and is kept for a time; its object is written before the row."""

    __tablename__ = "rejected_file"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "batch_id"], ["ingest.batch.tenant", "ingest.batch.batch_id"]),
        Index(None, "tenant", "rejected_at"),
        Index(None, "kept_until"),
    )

    tenant: Mapped[str] = mapped_column(primary_key=True)
    rejected_id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[str]
    batch_id: Mapped[UUID]
    name: Mapped[str]
    fingerprint: Mapped[str]
    reason: Mapped[str]
    detail: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    object_key: Mapped[str]
    rejected_at: Mapped[datetime]
    kept_until: Mapped[datetime]


class RememberedAnswerRow(Base):
    """What was answered to a request with an idempotency key; no answer yet while it is at work."""

    __tablename__ = "remembered_answer"
    __table_args__ = (Index(None, "created_at"),)

    tenant: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    work_id: Mapped[UUID]
    created_at: Mapped[datetime]
    claimed_at: Mapped[datetime]
    answer: Mapped[str | None]


class TenantUsageRow(Base):
    """What a tenant stored on one day (UTC)."""

    __tablename__ = "tenant_usage"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    files: Mapped[int] = mapped_column(BigInteger)


class UserUsageRow(Base):
    """What a user stored on one day (UTC)."""

    __tablename__ = "user_usage"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)


class ResumableUploadRow(Base):
    """A file that arrives in pieces, until it is taken in."""

    __tablename__ = "resumable_upload"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "batch_id"], ["ingest.batch.tenant", "ingest.batch.batch_id"]),
        CheckConstraint("offset_bytes BETWEEN 0 AND length_bytes", name="offset_within"),
        Index(None, "tenant", "batch_id"),
        Index(None, "expires_at"),
        Index(
            "ix_resumable_upload_complete",
            "changed_at",
            postgresql_where=text("ended_at IS NULL AND offset_bytes = length_bytes"),
        ),
    )

    tenant: Mapped[str] = mapped_column(primary_key=True)
    upload_id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[str]
    batch_id: Mapped[UUID]
    client_metadata: Mapped[str | None] = mapped_column("metadata")
    length_bytes: Mapped[int] = mapped_column(BigInteger)
    offset_bytes: Mapped[int] = mapped_column(BigInteger)
    parts: Mapped[int]
    changed_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    """When it was taken in, refused or terminated."""
    claim_id: Mapped[UUID | None]
    """Of whoever takes it in, until `claimed_until`."""
    claimed_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    traceparent: Mapped[str | None]
    """The span of the request that brought the newest part."""


class UploadPartRow(Base):
    """A piece of such a file; its object is written before the row."""

    __tablename__ = "upload_part"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant", "upload_id"], ["ingest.resumable_upload.tenant", "ingest.resumable_upload.upload_id"]
        ),
    )

    tenant: Mapped[str] = mapped_column(primary_key=True)
    upload_id: Mapped[UUID] = mapped_column(primary_key=True)
    first_byte: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    owner_id: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]


class OutboxRow(OutboxColumns, Base):
    """An event that waits to be published, or was."""

    __tablename__ = "outbox"


class InboxRow(InboxColumns, Base):
    """An event that was applied."""

    __tablename__ = "inbox"
