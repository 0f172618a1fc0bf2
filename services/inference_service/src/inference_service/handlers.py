"""The use cases of the worker: screen one stored image, and say so when that is given up."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from inference_service import announcements
from inference_service.announcements import Scored
from inference_service.domain.selection import OutsideIntendedUse, Selection, select_models
from inference_service.domain.triage import decisive_frame
from inference_service.imaging import PreparedFrame
from inference_service.metrics import (
    CANCELLED,
    COMPLETED,
    FAILED,
    OBJECT_MISSING,
    QUEUE_WAIT_S,
    RETRIES_EXHAUSTED,
    SHADOWED,
    STAGE_S,
)
from inference_service.ports import ModelChanged, ModelFault, Ports
from inference_service.wire import ImageResult, ModelInfo
from radrelay_imaging import Refusal, RefusalReason
from radrelay_shared.events import InstanceStored
from radrelay_shared.messaging import Delivery
from radrelay_shared.objects import ObjectNotFound, keys
from radrelay_shared.observability import get_tracer

_MODEL_CHANGES: Final = 3

_log = logging.getLogger(__name__)
_tracer = get_tracer(__name__)

Frames = tuple[PreparedFrame, ...]


async def screen_instance(delivery: Delivery, ports: Ports) -> None:
    """Fetch, prepare, score and explain one image; announce its result, or why it gets none.

    The announcement carries all of the result, and its identifier follows from image and model, so a repeat announces
    the same event. Models on trial come last: they never delay or endanger the result. A cancelled image is left.

    Raises:
        ObjectNotFound: the file is not there (yet); worth trying again, like any other fault of a dependency.
    """
    stored: InstanceStored = delivery.event.data
    if await ports.cancellations.holds(delivery.tenant, stored.instance_id, stored.submission):
        CANCELLED.inc()
        return
    started_at = datetime.now(UTC)
    queue_wait_s = max(0.0, (started_at - delivery.event.time).total_seconds())
    QUEUE_WAIT_S.labels(stored.priority).observe(queue_wait_s)
    await ports.events.publish(announcements.started(delivery, started_at))
    try:
        selection, frames, shown = await _score(stored, ports)
    except OutsideIntendedUse as outside:
        await _fail(delivery, RefusalReason.OUTSIDE_INTENDED_USE, outside.detail, ports)
        return
    except (Refusal, ModelFault) as refusal:
        await _fail(delivery, str(refusal.reason), refusal.detail, ports)
        return
    await ports.events.publish(announcements.completed(delivery, shown, queue_wait_s=queue_wait_s))
    COMPLETED.inc()
    for model in selection.shadows:
        await _shadow(delivery, model, shown, frames, ports)


async def give_up(delivery: Delivery, reason: str, ports: Ports) -> None:
    """Announce that every attempt at an image failed.

    Args:
        delivery: the last one.
        reason: name of the last error.
        ports: only the events are used.
    """
    if reason == ObjectNotFound.__name__:
        await _fail(delivery, OBJECT_MISSING, "The stored file is not in the object store.", ports)
    else:
        detail = f"Given up after {delivery.attempt} attempts ({reason})."
        await _fail(delivery, RETRIES_EXHAUSTED, detail, ports)


async def _score(stored: InstanceStored, ports: Ports) -> tuple[Selection, Frames, Scored]:
    for _ in range(_MODEL_CHANGES):
        catalogue = await ports.model.catalogue()
        selection = select_models(
            catalogue.models,
            modality=stored.modality,
            sop_class_uid=stored.sop_class_uid,
            body_part=stored.body_part,
        )
        frames = await _prepare(stored, selection.shown, ports)
        try:
            with _stage("model"):
                return selection, frames, await _screen(frames, selection.shown, ports)
        except ModelChanged:
            _log.info("the model changed; preparing the image again")
    raise ModelChanged


async def _prepare(stored: InstanceStored, model: ModelInfo, ports: Ports) -> Frames:
    """The file itself is held no longer than this takes."""
    async with ports.room.place(stored.priority):
        with _stage("fetch"):
            content = await ports.objects.get(stored.object_key)
        with _stage("prepare"):
            return await ports.imaging.prepare(content, model.image, urgency=stored.priority)


async def _screen(frames: Frames, model: ModelInfo, ports: Ports) -> Scored:
    """The score of the most suspicious frame, the first of equals.

    Raises:
        ModelChanged, ModelFault: of any frame.
    """
    answers = await asyncio.gather(
        *(ports.model.screen(frame.image_cyx, model.digest) for frame in frames), return_exceptions=True
    )
    results: list[ImageResult] = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        results.append(answer)
    decisive = decisive_frame(results)
    return Scored(model, results[decisive], frames[decisive])


async def _shadow(delivery: Delivery, model: ModelInfo, shown: Scored, frames: Frames, ports: Ports) -> None:
    """Score the image with a model on trial, and record what it says."""
    stored: InstanceStored = delivery.event.data
    try:
        if model.image != shown.model.image:
            frames = await _prepare(stored, model, ports)
        with _stage("shadow"):
            scored = await _screen(frames, model, ports)
        event = announcements.shadow_scored(delivery, scored, shown)
        key = keys.shadow(delivery.tenant, stored.instance_id, model.digest)
        await ports.objects.put(key, event.to_json(), content_type="application/json")
        await ports.events.publish(event)
    except Exception as error:  # noqa: BLE001  # the case is done: what goes wrong here must not have it tried again
        SHADOWED.labels("failed").inc()
        _log.warning("shadow not scored", extra={"digest": model.digest, "error": type(error).__name__})
    else:
        SHADOWED.labels("scored").inc()


@contextmanager
def _stage(name: str) -> Iterator[None]:
    with STAGE_S.labels(name).time(), _tracer.start_as_current_span(name):
        yield


async def _fail(delivery: Delivery, reason: str, detail: str, ports: Ports) -> None:
    await ports.events.publish(announcements.failed(delivery, reason, detail))
    FAILED.labels(reason).inc()
    _log.info("case failed", extra={"instance_id": str(delivery.event.data.instance_id), "reason": reason})
