"""Rows to domain objects and back."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row

from ingest_service.domain.audit import AuditAction, AuditFact, AuditRecord
from ingest_service.domain.lifecycle import FileStatus
from ingest_service.domain.model import Batch, FileView, Instance
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


def instance_values(instance: Instance) -> dict[str, Any]:
    """Column values of a new image."""
    values: dict[str, Any] = asdict(instance)
    facts: dict[str, Any] = values.pop("facts")
    return values | facts | {"status": FileStatus.QUEUED.value, "status_at": instance.received_at}


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


def audit_values(record: AuditRecord) -> dict[str, Any]:
    """Column values of an audit record."""
    return asdict(record.fact) | {"sequence": record.sequence, "prev_hash": record.prev_hash, "hash": record.hash}


def audit_record_of(row: Row[Any]) -> AuditRecord:
    """An audit record from its row."""
    fact = AuditFact(
        tenant=row.tenant,
        actor=row.actor,
        action=AuditAction(row.action),
        at=row.at,
        batch_id=row.batch_id,
        instance_id=row.instance_id,
        fingerprint=row.fingerprint,
        reason=row.reason,
    )
    return AuditRecord(fact, row.sequence, row.prev_hash, row.hash)
