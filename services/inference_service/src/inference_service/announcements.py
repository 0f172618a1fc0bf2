"""What the worker tells the others, as events."""

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from inference_service.bundles.image_spec import CtWindows
from inference_service.domain.identity import completed_id, failed_id, shadow_scored_id, started_id
from inference_service.domain.triage import triage
from inference_service.imaging import PreparedFrame, cut_to_image
from inference_service.wire import ImageResult, ModelInfo
from radrelay_shared.events import (
    Event,
    Heatmap,
    InferenceCompleted,
    InferenceFailed,
    InferenceShadowScored,
    InferenceStarted,
    InstanceStored,
    ModelRef,
    Picture,
    Provenance,
    ValueWindow,
    make_event,
)
from radrelay_shared.messaging import Delivery

SOURCE: Final = "/radrelay/inference"
_CODE_VERSION: Final = version("radrelay-inference")
_LONGEST_DETAIL: Final = 500


@dataclass(frozen=True, slots=True)
class Scored:
    """What one model said of an image, by the frame that decides."""

    model: ModelInfo
    result: ImageResult
    frame: PreparedFrame


def started(delivery: Delivery, started_at: datetime) -> Event[InferenceStarted]:
    """A worker took the image in hand."""
    stored: InstanceStored = delivery.event.data
    data = InferenceStarted(
        **_instance(stored), submission=stored.submission, attempt=delivery.attempt, started_at=started_at
    )
    return _event(delivery, data, started_id(stored.instance_id, stored.submission, delivery.attempt))


def completed(delivery: Delivery, scored: Scored, *, queue_wait_s: float) -> Event[InferenceCompleted]:
    """The image has a result."""
    stored: InstanceStored = delivery.event.data
    verdict = triage(scored.result.probability, scored.model.thresholds)
    data = InferenceCompleted(
        **_image(stored),
        **_score(scored),
        positive=verdict.positive,
        confidence=verdict.confidence,
        urgency=verdict.urgency,
        source_key=stored.object_key,
        picture=_picture(scored),
        heatmap=_heatmap(scored),
        completed_at=datetime.now(UTC),
        queue_wait_s=queue_wait_s,
        submission=stored.submission,
        priority=stored.priority,
    )
    return _event(delivery, data, completed_id(stored.instance_id, stored.submission, scored.model.digest))


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
        submission=stored.submission,
    )
    return _event(delivery, data, failed_id(stored.instance_id, stored.submission, reason))


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
        "instance_number": stored.instance_number,
        "received_at": stored.received_at,
    }


def _heatmap(scored: Scored) -> Heatmap:
    map_yx = cut_to_image(scored.result.cam_yx(), scored.frame.placement)
    rows, columns = map_yx.shape
    return Heatmap.of_bytes(map_yx.astype("<f4", copy=False).tobytes(), rows=rows, columns=columns)


def _picture(scored: Scored) -> Picture:
    placement, channels = scored.frame.placement, scored.model.image.channels
    window = channels.windows[0] if isinstance(channels, CtWindows) else None
    return Picture(
        rows=placement.rows,
        columns=placement.columns,
        window=None if window is None else ValueWindow(center=window.center_hu, width=window.width_hu),
    )


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
            runtime=result.runtime,
            runtime_detail=result.runtime_detail,
            code_version=_CODE_VERSION,
            frame_number=scored.frame.frame_number,
        ),
        "finding": model.finding,
        "probability_raw": result.probability_raw,
        "probability": result.probability,
        "model_s": result.model_s,
    }
