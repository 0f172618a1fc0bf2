"""What the worker tells the others, as events."""

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from inference_service.domain.identity import completed_id, failed_id, shadow_scored_id, started_id
from inference_service.domain.triage import triage
from inference_service.wire import ImageResult, ModelInfo
from radrelay_shared.events import (
    Event,
    InferenceCompleted,
    InferenceFailed,
    InferenceShadowScored,
    InferenceStarted,
    InstanceStored,
    ModelRef,
    Provenance,
    make_event,
)
from radrelay_shared.messaging import Delivery
from radrelay_shared.objects import keys

SOURCE: Final = "/radrelay/inference"
_CODE_VERSION: Final = version("radrelay-inference")
_LONGEST_DETAIL: Final = 500


@dataclass(frozen=True, slots=True)
class Scored:
    """What one model said of an image, by the frame that decides."""

    model: ModelInfo
    result: ImageResult
    frame_number: int


def started(delivery: Delivery, started_at: datetime) -> Event[InferenceStarted]:
    """A worker took the image in hand."""
    stored: InstanceStored = delivery.event.data
    data = InferenceStarted(**_instance(stored), attempt=delivery.attempt, started_at=started_at)
    return _event(delivery, data, started_id(stored.instance_id, delivery.attempt))


def completed(delivery: Delivery, scored: Scored, *, queue_wait_s: float) -> Event[InferenceCompleted]:
    """The image has a result, whose pictures are stored."""
    stored: InstanceStored = delivery.event.data
    tenant, instance_id, digest = delivery.tenant, stored.instance_id, scored.model.digest
    verdict = triage(scored.result.probability, scored.model.thresholds)
    data = InferenceCompleted(
        **_image(stored),
        **_score(scored),
        positive=verdict.positive,
        confidence=verdict.confidence,
        urgency=verdict.urgency,
        source_key=stored.object_key,
        preview_key=keys.preview(tenant, instance_id, digest),
        overlay_key=keys.overlay(tenant, instance_id, digest),
        cam_key=keys.cam(tenant, instance_id, digest),
        completed_at=datetime.now(UTC),
        queue_wait_s=queue_wait_s,
    )
    return _event(delivery, data, completed_id(instance_id, digest))


def shadow_scored(delivery: Delivery, shadow: Scored, shown: Scored) -> Event[InferenceShadowScored]:
    """A model on trial scored the image beside the one whose result is shown."""
    stored: InstanceStored = delivery.event.data
    data = InferenceShadowScored(
        **_image(stored),
        **_score(shadow),
        shown_model_digest=shown.model.digest,
        shown_probability=shown.result.probability,
        scored_at=datetime.now(UTC),
    )
    return _event(delivery, data, shadow_scored_id(stored.instance_id, shadow.model.digest))


def failed(delivery: Delivery, reason: str, detail: str) -> Event[InferenceFailed]:
    """The image gets no result."""
    stored: InstanceStored = delivery.event.data
    data = InferenceFailed(
        **_instance(stored),
        reason=reason,
        detail=detail[:_LONGEST_DETAIL],
        received_at=stored.received_at,
        failed_at=datetime.now(UTC),
    )
    return _event(delivery, data, failed_id(stored.instance_id, reason))


def _event(delivery: Delivery, data: Any, event_id: str) -> Event[Any]:
    return make_event(data, tenant=delivery.tenant, source=SOURCE, event_id=event_id)


def _instance(stored: InstanceStored) -> dict[str, Any]:
    return {"instance_id": stored.instance_id, "batch_id": stored.batch_id, "owner_id": stored.owner_id}


def _image(stored: InstanceStored) -> dict[str, Any]:
    return {
        **_instance(stored),
        "sop_instance_uid": stored.sop_instance_uid,
        "sop_class_uid": stored.sop_class_uid,
        "study_instance_uid": stored.study_instance_uid,
        "series_instance_uid": stored.series_instance_uid,
        "modality": stored.modality,
        "body_part": stored.body_part,
        "received_at": stored.received_at,
    }


def _score(scored: Scored) -> dict[str, Any]:
    model, result = scored.model, scored.result
    return {
        "model": ModelRef(
            name=model.name,
            version=model.version,
            digest=model.digest,
            label=model.label,
            intended_use=model.intended_use,
        ),
        "provenance": Provenance(
            runtime=model.runtime,
            runtime_detail=model.runtime_detail,
            code_version=_CODE_VERSION,
            frame_number=scored.frame_number,
        ),
        "finding": model.finding,
        "probability_raw": result.probability_raw,
        "probability": result.probability,
        "model_s": result.model_s,
    }
