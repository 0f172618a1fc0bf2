"""Builders of events with sensible values; pass only what a test is about.

Every builder makes a new image of owner `dr-a` in tenant `acme`, so that two calls never collide by accident.
"""

import struct
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

from radrelay_shared.events import (
    AuditHeadPublished,
    Event,
    Heatmap,
    InferenceCompleted,
    InferenceFailed,
    InstanceStored,
    ModelRef,
    Picture,
    Provenance,
    ReportCreated,
    ReportErased,
    ReportReviewed,
    Urgency,
    ValueWindow,
    Verdict,
    make_event,
)
from radrelay_shared.objects import keys

TENANT = "acme"
OWNER = "dr-a"
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
RECEIVED_AT = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)
UNTRAINED = ModelRef(
    name="head-ct-haemorrhage",
    version="0.1.0",
    digest="sha256:" + "5e" * 32,
    label="untrained",
    intended_use="For demonstration and research. Not for clinical use.",
)
PROVENANCE = Provenance(
    runtime="torch-float32", runtime_detail="torch 2.14.1 cpu float32", code_version="0.1.0", frame_number=1
)

PICTURE = Picture(rows=512, columns=512, window=ValueWindow(center=40.0, width=80.0))
HEATMAP = Heatmap.of_bytes(struct.pack("<6f", 0.0, 0.25, 0.5, 1.0, 2.0, 0.0), rows=2, columns=3)


def dicom_uid(*, seed: UUID | None = None) -> str:
    """A UUID-derived UID (DICOM PS3.5 annex B.2)."""
    return f"2.25.{(seed or uuid4()).int}"


def inference_completed(
    *, tenant: str = TENANT, event_id: str | None = None, **changes: Any
) -> Event[InferenceCompleted]:
    """A result; `confidence` follows from `positive` and `probability` unless it is given."""
    instance_id: UUID = changes.get("instance_id") or uuid4()
    completed_at = changes.get("received_at", RECEIVED_AT) + timedelta(seconds=2)
    fields = {
        **_result(instance_id),
        "source_key": keys.instance(tenant, instance_id),
        "picture": PICTURE,
        "heatmap": HEATMAP,
        "completed_at": completed_at,
        "queue_wait_s": 0.4,
        "model_s": 0.05,
    }
    return make_event(
        InferenceCompleted.model_validate(_merge(fields, changes)),
        tenant=tenant,
        source="/radrelay/inference",
        event_id=event_id,
    )


def inference_failed(*, tenant: str = TENANT, event_id: str | None = None, **changes: Any) -> Event[InferenceFailed]:
    """A failure whose reason is `undecodable_pixels` unless another is given."""
    fields = {
        "instance_id": uuid4(),
        "batch_id": uuid4(),
        "owner_id": OWNER,
        "reason": "undecodable_pixels",
        "detail": "Pixel data ends early.",
        "received_at": RECEIVED_AT,
        "failed_at": changes.get("received_at", RECEIVED_AT) + timedelta(seconds=2),
    }
    return make_event(
        InferenceFailed.model_validate(fields | changes),
        tenant=tenant,
        source="/radrelay/inference",
        event_id=event_id,
    )


def report_created(*, tenant: str = TENANT, event_id: str | None = None, **changes: Any) -> Event[ReportCreated]:
    """A report; `confidence` follows from `positive` and `probability` unless it is given."""
    instance_id: UUID = changes.get("instance_id") or uuid4()
    received_at = changes.get("received_at", RECEIVED_AT)
    fields = {
        **_result(instance_id),
        "report_id": uuid5(instance_id, "report"),
        "completed_at": received_at + timedelta(seconds=2),
        "created_at": received_at + timedelta(seconds=3),
        "priority": Urgency.ROUTINE,
    }
    return make_event(
        ReportCreated.model_validate(_merge(fields, changes)),
        tenant=tenant,
        source="/radrelay/report",
        event_id=event_id,
    )


def report_reviewed(created: Event[ReportCreated], **changes: Any) -> Event[ReportReviewed]:
    """The first review of a report, which agrees with it unless another verdict is given."""
    fields = {
        **created.data.model_dump(include=set(ReportReviewed.model_fields)),
        "review_version": 1,
        "verdict": Verdict.AGREE,
        "label": "haemorrhage",
        "reviewer": "dr-r",
        "reviewed_at": created.data.created_at + timedelta(hours=1),
        "previous_verdict": None,
    }
    return make_event(ReportReviewed(**(fields | changes)), tenant=created.tenant, source="/radrelay/report")


def report_erased(created: Event[ReportCreated], **changes: Any) -> Event[ReportErased]:
    """The erasure of a report that nobody had reviewed, by retention."""
    fields = {
        **created.data.model_dump(include=set(ReportErased.model_fields)),
        "last_review": None,
        "reason": "retention",
        "erased_at": created.data.created_at + timedelta(days=30),
    }
    return make_event(ReportErased(**(fields | changes)), tenant=created.tenant, source="/radrelay/report")


def _result(instance_id: UUID) -> dict[str, Any]:
    return {
        "instance_id": instance_id,
        "batch_id": uuid4(),
        "owner_id": OWNER,
        "sop_instance_uid": dicom_uid(seed=instance_id),
        "sop_class_uid": CT_IMAGE_STORAGE,
        "study_instance_uid": dicom_uid(),
        "series_instance_uid": dicom_uid(),
        "modality": "CT",
        "body_part": "HEAD",
        "instance_number": 7,
        "model": UNTRAINED,
        "provenance": PROVENANCE,
        "finding": "intracranial haemorrhage",
        "positive": True,
        "probability_raw": 0.91,
        "probability": 0.84,
        "urgency": Urgency.URGENT,
        "received_at": RECEIVED_AT,
    }


def _merge(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = fields | changes
    stated = merged["probability"] if merged["positive"] else 1.0 - merged["probability"]
    return {"confidence": stated} | merged


def instance_stored(*, tenant: str = TENANT, event_id: str | None = None, **changes: Any) -> Event[InstanceStored]:
    """A stored 512 x 512 CT slice of routine priority."""
    instance_id: UUID = changes.get("instance_id") or uuid4()
    fields = {
        "instance_id": instance_id,
        "batch_id": uuid4(),
        "owner_id": OWNER,
        "sop_instance_uid": dicom_uid(seed=instance_id),
        "sop_class_uid": CT_IMAGE_STORAGE,
        "study_instance_uid": dicom_uid(),
        "series_instance_uid": dicom_uid(),
        "modality": "CT",
        "body_part": "HEAD",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "rows": 512,
        "columns": 512,
        "frames": 1,
        "object_key": keys.instance(tenant, instance_id),
        "size_bytes": 525_312,
        "sha256": "b" * 64,
        "priority": Urgency.ROUTINE,
        "received_at": RECEIVED_AT,
    }
    return make_event(
        InstanceStored.model_validate(fields | changes), tenant=tenant, source="/radrelay/ingest", event_id=event_id
    )


def audit_head_published(*, tenant: str = TENANT, **changes: Any) -> Event[AuditHeadPublished]:
    """The head of an audit chain."""
    fields: dict[str, Any] = {"sequence": 1, "hash": "ab" * 32, "recorded_at": RECEIVED_AT}
    head = AuditHeadPublished(**(fields | changes))
    return make_event(head, tenant=tenant, source=f"/radrelay/{head.service}")
