"""The use cases of the worker: screen one stored image, and say so when that is given up."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from inference_service.domain.identity import completed_id, failed_id, started_id
from inference_service.domain.triage import triage
from inference_service.imaging import Heatmap, PreparedImage, Refusal
from inference_service.metrics import COMPLETED, FAILED, QUEUE_WAIT_S, STAGE_S
from inference_service.ports import ModelChanged, ModelFault, Ports
from inference_service.wire import ImageResult, ModelInfo
from radrelay_shared.events import (
    InferenceCompleted,
    InferenceFailed,
    InferenceStarted,
    InstanceStored,
    ModelRef,
    make_event,
)
from radrelay_shared.messaging import Delivery
from radrelay_shared.objects import ObjectNotFound, keys
from radrelay_shared.observability import get_tracer

SOURCE: Final = "/radrelay/inference"
RETRIES_EXHAUSTED: Final = "retries_exhausted"
OBJECT_MISSING: Final = "object_missing"
_MODEL_CHANGES: Final = 3

_log = logging.getLogger(__name__)
_tracer = get_tracer(__name__)


async def screen_instance(delivery: Delivery, ports: Ports) -> None:
    """Fetch, prepare, score and explain one image; announce its result, or why it gets none.

    Everything is written before it is announced, to keys that follow from image and model, so a repeat overwrites the
    same objects and announces the same event.

    Raises:
        ObjectNotFound: the file is not there (yet); worth trying again, like any other fault of a dependency.
    """
    stored: InstanceStored = delivery.event.data
    started_at = datetime.now(UTC)
    queue_wait_s = max(0.0, (started_at - delivery.event.time).total_seconds())
    QUEUE_WAIT_S.observe(queue_wait_s)
    await _announce_start(delivery, stored, started_at, ports)
    try:
        info, prepared, result = await _score(stored, ports)
    except (Refusal, ModelFault) as refusal:
        await _announce_failure(delivery, str(refusal.reason), refusal.detail, ports)
        return
    with _stage("render"):
        heatmap = await ports.imaging.render(result.cam_yx(), prepared.placement, urgency=stored.priority)
    with _stage("write"):
        await _write(delivery.tenant, stored, info.digest, prepared, heatmap, ports)
    await _announce_result(delivery, info, result, queue_wait_s, ports)


async def give_up(delivery: Delivery, reason: str, ports: Ports) -> None:
    """Announce that every attempt at an image failed.

    Args:
        delivery: the last one.
        reason: name of the last error.
        ports: only the events are used.
    """
    if reason == ObjectNotFound.__name__:
        await _announce_failure(delivery, OBJECT_MISSING, "The stored file is not in the object store.", ports)
    else:
        detail = f"Given up after {delivery.attempt} attempts ({reason})."
        await _announce_failure(delivery, RETRIES_EXHAUSTED, detail, ports)


async def _score(stored: InstanceStored, ports: Ports) -> tuple[ModelInfo, PreparedImage, ImageResult]:
    for _ in range(_MODEL_CHANGES):
        info = await ports.model.info()
        prepared = await _prepare(stored, info, ports)
        try:
            with _stage("model"):
                return info, prepared, await ports.model.screen(prepared.image_cyx, info.digest)
        except ModelChanged:
            _log.info("the model changed; preparing the image again")
    raise ModelChanged


async def _prepare(stored: InstanceStored, info: ModelInfo, ports: Ports) -> PreparedImage:
    """The file itself is held no longer than this takes."""
    async with ports.room.place(stored.priority):
        with _stage("fetch"):
            content = await ports.objects.get(stored.object_key)
        with _stage("prepare"):
            return await ports.imaging.prepare(content, info.image, urgency=stored.priority)


@contextmanager
def _stage(name: str) -> Iterator[None]:
    with STAGE_S.labels(name).time(), _tracer.start_as_current_span(name):
        yield


async def _write(
    tenant: str, stored: InstanceStored, digest: str, prepared: PreparedImage, heatmap: Heatmap, ports: Ports
) -> None:
    instance_id = stored.instance_id
    async with asyncio.TaskGroup() as writes:
        for key, data, content_type in (
            (keys.preview(tenant, instance_id, digest), prepared.preview_png, "image/png"),
            (keys.overlay(tenant, instance_id, digest), heatmap.overlay_png, "image/png"),
            (keys.cam(tenant, instance_id, digest), heatmap.cam_npy, "application/x-npy"),
        ):
            writes.create_task(ports.objects.put(key, data, content_type=content_type))


async def _announce_start(delivery: Delivery, stored: InstanceStored, started_at: datetime, ports: Ports) -> None:
    data = InferenceStarted(
        instance_id=stored.instance_id,
        batch_id=stored.batch_id,
        owner_id=stored.owner_id,
        attempt=delivery.attempt,
        started_at=started_at,
    )
    event_id = started_id(stored.instance_id, delivery.attempt)
    await ports.events.publish(make_event(data, tenant=delivery.tenant, source=SOURCE, event_id=event_id))


async def _announce_result(
    delivery: Delivery, info: ModelInfo, result: ImageResult, queue_wait_s: float, ports: Ports
) -> None:
    stored: InstanceStored = delivery.event.data
    tenant, instance_id = delivery.tenant, stored.instance_id
    verdict = triage(result.probability, info.thresholds)
    data = InferenceCompleted(
        instance_id=instance_id,
        batch_id=stored.batch_id,
        owner_id=stored.owner_id,
        sop_instance_uid=stored.sop_instance_uid,
        sop_class_uid=stored.sop_class_uid,
        study_instance_uid=stored.study_instance_uid,
        series_instance_uid=stored.series_instance_uid,
        modality=stored.modality,
        body_part=stored.body_part,
        model=ModelRef(
            name=info.name,
            version=info.version,
            digest=info.digest,
            label=info.label,
            intended_use=info.intended_use,
        ),
        finding=info.finding,
        positive=verdict.positive,
        probability_raw=result.probability_raw,
        probability=result.probability,
        confidence=verdict.confidence,
        urgency=verdict.urgency,
        source_key=stored.object_key,
        preview_key=keys.preview(tenant, instance_id, info.digest),
        overlay_key=keys.overlay(tenant, instance_id, info.digest),
        cam_key=keys.cam(tenant, instance_id, info.digest),
        received_at=stored.received_at,
        completed_at=datetime.now(UTC),
        queue_wait_s=queue_wait_s,
        model_s=result.model_s,
    )
    event_id = completed_id(instance_id, info.digest)
    await ports.events.publish(make_event(data, tenant=tenant, source=SOURCE, event_id=event_id))
    COMPLETED.inc()


async def _announce_failure(delivery: Delivery, reason: str, detail: str, ports: Ports) -> None:
    stored: InstanceStored = delivery.event.data
    data = InferenceFailed(
        instance_id=stored.instance_id,
        batch_id=stored.batch_id,
        owner_id=stored.owner_id,
        reason=reason,
        detail=detail,
        received_at=stored.received_at,
        failed_at=datetime.now(UTC),
    )
    event_id = failed_id(stored.instance_id, reason)
    await ports.events.publish(make_event(data, tenant=delivery.tenant, source=SOURCE, event_id=event_id))
    FAILED.labels(reason).inc()
    _log.info("case failed", extra={"instance_id": str(stored.instance_id), "reason": reason})
