"""One stored image from event to event, on fakes."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import numpy.typing as npt
import pytest

from inference_service.bundles import Bundle
from inference_service.bundles.image_spec import EveryFrame, ImageSpec
from inference_service.handlers import give_up, screen_instance
from inference_service.imaging import PreparedFrame, prepare_frames
from inference_service.ports import ModelChanged, ModelFault, Ports
from inference_service.urgent_first import UrgentFirst
from inference_service.wire import Catalogue, ImageResult, ModelInfo, ModelRole
from radrelay_imaging import Refusal, RefusalReason
from radrelay_shared.events import (
    Event,
    InferenceCompleted,
    InferenceFailed,
    InferenceShadowScored,
    InferenceStarted,
    InstanceStored,
    Urgency,
    ValueWindow,
    make_event,
)
from radrelay_shared.messaging import Delivery, PublishError
from radrelay_shared.objects import ObjectNotFound, keys
from support.dicom_files import encode, image, set_pixels
from support.events import CT_IMAGE_STORAGE, dicom_uid
from support.models import catalogue, model_info

TENANT = "north"
FIRST, SECOND = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def ct() -> bytes:
    made = image(rows=16, columns=16)
    made.RescaleSlope, made.RescaleIntercept = 1, -1024
    return encode(made)


@dataclass
class MemoryObjects:
    content: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)

    async def get(self, key: str) -> bytes:
        if key not in self.content:
            raise ObjectNotFound(key)
        return self.content[key]

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        self.content[key], self.types[key] = data, content_type


class InProcessImaging:
    async def prepare(
        self, content: bytes, spec: ImageSpec, *, urgency: Urgency = Urgency.ROUTINE
    ) -> tuple[PreparedFrame, ...]:
        return prepare_frames(content, spec)


@dataclass
class FakeModel:
    """Scores whatever comes with `probability`, or a frame with the number that its first pixel holds."""

    models: list[ModelInfo]
    probability: float = 0.9
    runtime: str = "fake-float32"
    by_first_pixel: bool = False
    changes: list[str] = field(default_factory=list)
    faults: dict[str, Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def catalogue(self) -> Catalogue:
        return catalogue(*self.models)

    async def screen(self, image_cyx: npt.NDArray[np.uint8], digest: str) -> ImageResult:
        self.asked.append(digest)
        if digest in self.faults:
            raise self.faults[digest]
        if self.changes:
            self.models[0] = self.models[0].model_copy(update={"digest": self.changes.pop()})
            raise ModelChanged
        assert digest in {model.digest for model in self.models}
        cam = np.eye(3, dtype=np.float32)
        return ImageResult(
            digest=digest,
            runtime=self.runtime,
            runtime_detail=f"{self.runtime}, in detail",
            logit=1.0,
            probability_raw=0.7,
            probability=float(image_cyx[0, 0, 0]) / 255 if self.by_first_pixel else self.probability,
            cam_shape=(3, 3),
            cam_base64=ImageResult.encode_cam(cam),
            model_s=0.05,
            batch_size=2,
        )


@dataclass
class RecordedEvents:
    published: list[Event[Any]] = field(default_factory=list)
    fail_after: int | None = None

    async def publish(self, event: Event[Any]) -> None:
        if self.fail_after is not None and len(self.published) >= self.fail_after:
            raise PublishError
        self.published.append(event)

    def of(self, kind: type) -> list[Event[Any]]:
        return [event for event in self.published if isinstance(event.data, kind)]


@dataclass
class CancelledImages:
    submissions: dict[UUID, int] = field(default_factory=dict)

    async def holds(self, tenant: str, instance_id: UUID, submission: int) -> bool:
        return tenant == TENANT and self.submissions.get(instance_id, 0) >= submission


@dataclass
class World:
    objects: MemoryObjects
    model: FakeModel
    events: RecordedEvents
    cancelled: CancelledImages = field(default_factory=CancelledImages)

    @property
    def ports(self) -> Ports:
        return Ports(
            objects=self.objects,  # type: ignore[arg-type]  # the two methods that are used
            model=self.model,
            imaging=InProcessImaging(),
            events=self.events,
            cancellations=self.cancelled,
            room=UrgentFirst(2),
        )


@pytest.fixture
def world(small_bundle: Bundle) -> World:
    model = FakeModel([model_info(small_bundle, digest=FIRST)])
    return World(MemoryObjects(), model, RecordedEvents())


def stored(
    world: World,
    content: bytes | None = None,
    *,
    attempt: int = 1,
    instance_id: UUID | None = None,
    submission: int = 1,
) -> Delivery:
    instance_id = instance_id or uuid4()
    key = keys.instance(TENANT, instance_id)
    if content is not None:
        world.objects.content[key] = content
    data = InstanceStored(
        instance_id=instance_id,
        batch_id=uuid4(),
        owner_id="dr-a",
        sop_instance_uid=dicom_uid(),
        sop_class_uid=CT_IMAGE_STORAGE,
        study_instance_uid=dicom_uid(),
        series_instance_uid=dicom_uid(),
        modality="CT",
        body_part="HEAD",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        rows=16,
        columns=16,
        frames=1,
        object_key=key,
        size_bytes=1,
        sha256="0" * 64,
        priority=Urgency.STAT,
        received_at=datetime.now(UTC),
        submission=submission,
    )
    return Delivery(make_event(data, tenant=TENANT, source="/radrelay/ingest"), "subject", attempt)


async def test_a_case_ends_with_its_result_and_its_heatmap(world: World) -> None:
    delivery = stored(world, ct())
    await screen_instance(delivery, world.ports)
    assert [type(event.data) for event in world.events.published] == [InferenceStarted, InferenceCompleted]
    completed = world.events.published[1]
    result: InferenceCompleted = completed.data
    assert (completed.tenant, completed.subject) == (TENANT, str(delivery.event.data.instance_id))
    assert (result.positive, result.urgency, result.finding) == (True, Urgency.STAT, "intracranial haemorrhage")
    assert (result.probability_raw, result.probability, result.confidence) == (0.7, 0.9, 0.9)
    assert (result.model.label, result.model.digest) == ("untrained", FIRST)
    assert (result.picture.rows, result.picture.columns) == (16, 16)
    assert result.picture.window == ValueWindow(center=40.0, width=80.0)
    assert result.heatmap.data == np.eye(3, dtype="<f4").tobytes()
    assert result.source_key == delivery.event.data.object_key


async def test_a_negative_case_states_its_confidence_in_the_negative(world: World) -> None:
    world.model.probability = 0.1
    await screen_instance(stored(world, ct()), world.ports)
    (event,) = world.events.of(InferenceCompleted)
    assert (event.data.positive, event.data.urgency) == (False, Urgency.ROUTINE)
    assert event.data.confidence == pytest.approx(0.9)


async def test_a_redelivery_repeats_the_same_event(world: World) -> None:
    delivery = stored(world, ct())
    await screen_instance(delivery, world.ports)
    await screen_instance(Delivery(delivery.event, "subject", 2), world.ports)
    first, second = world.events.of(InferenceCompleted)
    assert first.id == second.id
    assert len({event.id for event in world.events.of(InferenceStarted)}) == 2


async def test_a_retry_says_all_of_it_again_under_other_ids_and_its_own_number(world: World) -> None:
    instance_id = uuid4()
    for content in (ct(), b"text"):
        for submission in (1, 2):
            delivery = stored(world, content, instance_id=instance_id, submission=submission)
            await screen_instance(delivery, world.ports)
    for kind in (InferenceStarted, InferenceCompleted, InferenceFailed):
        said = {event.id: event.data.submission for event in world.events.of(kind)}
        assert sorted(said.values()) == [1, 2]


async def test_a_cancelled_image_is_left_and_its_retry_screened(world: World) -> None:
    instance_id = uuid4()
    world.cancelled.submissions[instance_id] = 1
    await screen_instance(stored(world, ct(), instance_id=instance_id), world.ports)
    assert world.events.published == []
    await screen_instance(stored(world, ct(), instance_id=instance_id, submission=2), world.ports)
    assert len(world.events.of(InferenceCompleted)) == 1


async def test_a_result_that_cannot_be_announced_is_left_to_a_later_attempt(world: World) -> None:
    world.events.fail_after = 1
    with pytest.raises(PublishError):
        await screen_instance(stored(world, ct()), world.ports)


async def test_a_result_stores_nothing(world: World) -> None:
    delivery = stored(world, ct())
    await screen_instance(delivery, world.ports)
    assert set(world.objects.content) == {delivery.event.data.object_key}


async def test_a_refused_image_is_announced_as_failed_and_needs_no_retry(world: World) -> None:
    delivery = stored(world, b"text")
    await screen_instance(delivery, world.ports)
    (event,) = world.events.of(InferenceFailed)
    assert event.data.reason == RefusalReason.NOT_DICOM
    assert event.data.instance_id == delivery.event.data.instance_id
    await screen_instance(delivery, world.ports)
    assert len({event.id for event in world.events.of(InferenceFailed)}) == 1


async def test_a_fault_of_the_model_is_announced_with_its_reason(world: World) -> None:
    world.model.faults[FIRST] = ModelFault("model_not_finite", "the model gave no finite number")
    await screen_instance(stored(world, ct()), world.ports)
    (event,) = world.events.of(InferenceFailed)
    assert (event.data.reason, event.data.detail) == ("model_not_finite", "the model gave no finite number")


async def test_an_image_is_prepared_again_for_a_model_that_changed(world: World) -> None:
    world.model.changes = [SECOND]
    await screen_instance(stored(world, ct()), world.ports)
    (event,) = world.events.of(InferenceCompleted)
    assert event.data.model.digest == SECOND
    assert world.model.asked == [FIRST, SECOND]


async def test_a_model_that_never_stops_changing_is_left_to_a_later_attempt(world: World) -> None:
    world.model.changes = [FIRST, SECOND] * 5
    with pytest.raises(ModelChanged):
        await screen_instance(stored(world, ct()), world.ports)


def takes(model: ModelInfo, **accepts: list[str]) -> ModelInfo:
    """The model with another intended use."""
    image_spec = model.image.model_dump()
    image_spec["accepts"] |= accepts
    return model.model_copy(update={"image": ImageSpec.model_validate(image_spec)})


async def test_an_image_goes_to_the_first_model_that_takes_it(world: World) -> None:
    chest = takes(world.model.models[0], body_parts=["CHEST"])
    world.model.models = [chest.model_copy(update={"digest": SECOND}), world.model.models[0]]
    await screen_instance(stored(world, ct()), world.ports)
    (event,) = world.events.of(InferenceCompleted)
    assert event.data.model.digest == FIRST


async def test_an_image_that_no_model_takes_gets_the_reason_of_each_and_no_number(world: World) -> None:
    world.model.models = [takes(world.model.models[0], body_parts=["CHEST"])]
    await screen_instance(stored(world, ct()), world.ports)
    (event,) = world.events.of(InferenceFailed)
    assert event.data.reason == RefusalReason.OUTSIDE_INTENDED_USE
    assert event.data.detail.startswith("No model takes this image: body part is not one of CHEST (head-ct-haemorrhage")
    assert world.model.asked == []


def with_shadow(world: World, **accepts: list[str]) -> None:
    shadow = world.model.models[0].model_copy(update={"digest": SECOND, "role": ModelRole.SHADOW})
    world.model.models.append(takes(shadow, **accepts))


async def test_a_shadow_is_recorded_after_the_result_and_is_none(world: World) -> None:
    with_shadow(world)
    delivery = stored(world, ct())
    await screen_instance(delivery, world.ports)
    kinds = [type(event.data) for event in world.events.published]
    assert kinds == [InferenceStarted, InferenceCompleted, InferenceShadowScored]
    completed, shadow = world.events.published[1:]
    assert completed.data.model.digest == FIRST
    assert (shadow.data.model.digest, shadow.data.shown_model_digest) == (SECOND, FIRST)
    key = keys.shadow(TENANT, delivery.event.data.instance_id, SECOND)
    assert world.objects.content[key] == shadow.to_json()


@pytest.mark.parametrize("fault", [ModelFault("model_not_finite", "why"), ConnectionError("away")])
async def test_a_shadow_that_fails_leaves_the_result_alone(world: World, fault: Exception) -> None:
    with_shadow(world)
    world.model.faults[SECOND] = fault
    await screen_instance(stored(world, ct()), world.ports)
    assert [type(event.data) for event in world.events.published] == [InferenceStarted, InferenceCompleted]


async def test_a_shadow_alone_gives_no_result(world: World) -> None:
    with_shadow(world)
    del world.model.models[0]
    await screen_instance(stored(world, ct()), world.ports)
    (event,) = world.events.of(InferenceFailed)
    assert event.data.reason == RefusalReason.OUTSIDE_INTENDED_USE


async def test_a_shadow_is_not_asked_about_an_image_outside_its_own_use(world: World) -> None:
    with_shadow(world, body_parts=["CHEST"])
    await screen_instance(stored(world, ct()), world.ports)
    assert world.model.asked == [FIRST]


async def test_the_most_suspicious_frame_gives_the_result_and_the_pictures(world: World) -> None:
    made = image(rows=16, columns=16)
    made.RescaleSlope, made.RescaleIntercept, made.NumberOfFrames = 1, -1024, 4
    levels = (1024, 1064, 1050, 1030)
    set_pixels(made, np.concatenate([np.full((16, 16), level, "<u2") for level in levels]).tobytes())
    model = world.model.models[0]
    every = model.image.model_copy(update={"frames": EveryFrame(rule="every")})
    world.model.models = [model.model_copy(update={"image": every})]
    world.model.by_first_pixel = True
    await screen_instance(stored(world, encode(made)), world.ports)
    (event,) = world.events.of(InferenceCompleted)
    assert event.data.provenance.frame_number == 2
    assert event.data.probability == pytest.approx(0.5, abs=0.01)
    assert len(world.model.asked) == 4


async def test_a_result_says_how_it_was_computed_and_not_what_the_server_said_before(world: World) -> None:
    world.model.runtime = "fake-bfloat16"
    await screen_instance(stored(world, ct()), world.ports)
    (event,) = world.events.of(InferenceCompleted)
    assert event.data.provenance.runtime == "fake-bfloat16"
    assert event.data.provenance.runtime_detail == "fake-bfloat16, in detail"
    assert event.data.provenance.frame_number == 1


async def test_a_missing_object_is_tried_again_and_then_announced_as_missing(world: World) -> None:
    delivery = stored(world, None, attempt=8)
    with pytest.raises(ObjectNotFound):
        await screen_instance(delivery, world.ports)
    await give_up(delivery, "ObjectNotFound", world.ports)
    (event,) = world.events.of(InferenceFailed)
    assert event.data.reason == "object_missing"


async def test_exhausted_attempts_are_announced(world: World) -> None:
    await give_up(stored(world, ct(), attempt=8), "S3Error", world.ports)
    (event,) = world.events.of(InferenceFailed)
    assert event.data.reason == "retries_exhausted"
    assert event.data.detail == "Given up after 8 attempts (S3Error)."


@pytest.mark.parametrize("reason", list(RefusalReason))
def test_every_reason_can_be_announced(reason: RefusalReason) -> None:
    refusal = Refusal(reason, "detail")
    now = datetime.now(UTC)
    InferenceFailed(
        instance_id=uuid4(),
        batch_id=uuid4(),
        owner_id="dr-a",
        reason=str(refusal.reason),
        detail=refusal.detail,
        received_at=now,
        failed_at=now,
    )
