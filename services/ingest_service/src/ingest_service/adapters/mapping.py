"""Rows to domain objects and back."""

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from ingest_service.domain.dicom import DicomFacts
from ingest_service.domain.identity import InstanceUids, SopReference
from ingest_service.domain.lifecycle import WAITS_FOR_OBJECT, FileStatus
from ingest_service.domain.model import Batch, FileView, Instance, ReceivedFile, RejectedFile, StoredInstance
from ingest_service.domain.reconciling import ObjectRecord
from radrelay_shared.events import Urgency


def batch_of(row: Row[Any]) -> Batch:
    """A batch from its row."""
    return Batch(
        batch_id=row.batch_id,
        tenant=row.tenant,
        owner_id=row.owner_id,
        label=row.label,
        priority=Urgency(row.priority),
        created_at=row.created_at,
        closed_at=row.closed_at,
    )


def instance_of(row: Row[Any]) -> Instance:
    """An image from its row."""
    facts = {field.name: getattr(row, field.name) for field in fields(DicomFacts)}
    return Instance(
        instance_id=row.instance_id,
        tenant=row.tenant,
        owner_id=row.owner_id,
        batch_id=row.batch_id,
        facts=DicomFacts(**facts),
        object_key=row.object_key,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        priority=Urgency(row.priority),
        received_at=row.received_at,
        submission=row.submission,
        traceparent=row.traceparent,
    )


def stored_instance_of(row: Row[Any]) -> StoredInstance:
    """What is known of an image that was received before."""
    return StoredInstance(
        InstanceUids(SopReference(row.sop_class_uid, row.sop_instance_uid), row.study_instance_uid),
        is_cancelled=row.status == FileStatus.CANCELLED,
        is_lost=row.lost_at is not None or row.reason in WAITS_FOR_OBJECT,
        waits_for_object=row.reason in WAITS_FOR_OBJECT,
    )


def object_record_of(row: Row[Any]) -> ObjectRecord:
    """What a row says of its object."""
    return ObjectRecord(**row._mapping)


def instance_values(instance: Instance) -> dict[str, Any]:
    """Column values of a new image."""
    values: dict[str, Any] = asdict(instance)
    facts: dict[str, Any] = values.pop("facts")
    return values | facts | {"status": FileStatus.QUEUED.value, "status_at": instance.received_at}


def file_values(
    batch: Batch,
    file: ReceivedFile,
    at: datetime,
    *,
    instance_id: UUID | None = None,
    reason: str | None = None,
    detail: str | None = None,
) -> dict[str, Any]:
    """Column values of a file of a batch: which image it is, or why it is none."""
    values = {"tenant": batch.tenant, "batch_id": batch.batch_id, "owner_id": batch.owner_id, "received_at": at}
    return values | asdict(file) | {"instance_id": instance_id, "reason": reason, "detail": detail}


def rejected_file_of(row: Row[Any]) -> RejectedFile:
    """A rejected file that is kept, from its row."""
    return RejectedFile(**{field.name: getattr(row, field.name) for field in fields(RejectedFile)})


def file_view_of(row: Row[Any]) -> FileView:
    """A file of a batch from its row, joined with its image where it has one."""
    return FileView(
        name=row.name,
        fingerprint=row.fingerprint,
        status=FileStatus(row.status),
        reason=row.reason,
        detail=row.detail,
        instance_id=row.instance_id,
        report_id=row.report_id,
        received_at=row.received_at,
    )
