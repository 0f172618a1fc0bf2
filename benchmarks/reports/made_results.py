"""Results as the inference worker announces them."""

import struct
from datetime import UTC, datetime
from random import Random
from typing import Final
from uuid import UUID, uuid4

from radrelay_shared.events import (
    Event,
    Heatmap,
    InferenceCompleted,
    ModelRef,
    Picture,
    Provenance,
    ReportCreated,
    Urgency,
    ValueWindow,
    make_event,
)
from radrelay_shared.messaging import subject_of
from radrelay_shared.objects import keys

_STUDY: Final = 20
_SERIES: Final = 10
_BATCH: Final = 200
_HEATMAP_SIDE: Final = 12
"""Of an EfficientNet-B4 on images of 380 pixels."""
_MODEL: Final = ModelRef(
    name="made-up", version="1", digest="sha256:" + "5e" * 32, label="made up", intended_use="To measure."
)
_PROVENANCE: Final = Provenance(runtime="made-up", runtime_detail="made up", code_version="1", frame_number=1)
_PICTURE: Final = Picture(rows=512, columns=512, window=ValueWindow(center=40.0, width=80.0))


def results_of(tenant: str, count: int) -> list[Event[InferenceCompleted]]:
    """So many results of one owner: batches of 200 images, studies of 20, series of 10."""
    random = Random(1)  # noqa: S311  # numbers like any others, not a secret
    results = []
    batch_id = study_uid = series_uid = uuid4()
    for number in range(count):
        batch_id = batch_id if number % _BATCH else uuid4()
        study_uid = study_uid if number % _STUDY else uuid4()
        series_uid = series_uid if number % _SERIES else uuid4()
        result = _result(tenant, batch_id, study_uid, series_uid, random)
        results.append(make_event(result, tenant=tenant, source="/radrelay/inference"))
    return results


def _result(tenant: str, batch_id: UUID, study_uid: UUID, series_uid: UUID, random: Random) -> InferenceCompleted:
    instance_id, now, probability = uuid4(), datetime.now(UTC), random.random()
    positive = probability > 0.5
    values = [random.random() for _ in range(_HEATMAP_SIDE**2)]
    heatmap = struct.pack(f"<{len(values)}f", *values)
    return InferenceCompleted(
        instance_id=instance_id,
        batch_id=batch_id,
        owner_id="benchmark",
        sop_instance_uid=f"2.25.{instance_id.int}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        study_instance_uid=f"2.25.{study_uid.int}",
        series_instance_uid=f"2.25.{series_uid.int}",
        modality="CT",
        body_part="HEAD",
        model=_MODEL,
        provenance=_PROVENANCE,
        finding="made up",
        positive=positive,
        probability_raw=probability,
        probability=probability,
        confidence=probability if positive else 1 - probability,
        urgency=random.choice(list(Urgency)),
        source_key=keys.instance(tenant, instance_id),
        picture=_PICTURE,
        heatmap=Heatmap.of_bytes(heatmap, rows=_HEATMAP_SIDE, columns=_HEATMAP_SIDE),
        received_at=now,
        completed_at=now,
        queue_wait_s=0.1,
        model_s=0.05,
        priority=Urgency.ROUTINE,
    )


def announcements_of(tenant: str) -> str:
    """The subject that a tenant's reports are announced on."""
    return subject_of(ReportCreated, tenant=tenant)
