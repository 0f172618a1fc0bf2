"""What a probability means, and which event says so."""

from uuid import UUID, uuid4

import pytest

from inference_service.bundles.manifest import Thresholds
from inference_service.domain.identity import completed_id, failed_id, started_id
from inference_service.domain.triage import Verdict, triage
from radrelay_shared.events import Urgency

THRESHOLDS = Thresholds(positive=0.5, urgent=0.25, stat=0.75)


@pytest.mark.parametrize(
    ("probability", "verdict"),
    [
        (0.0, Verdict(positive=False, confidence=1.0, urgency=Urgency.ROUTINE)),
        (0.2, Verdict(positive=False, confidence=0.8, urgency=Urgency.ROUTINE)),
        (0.25, Verdict(positive=False, confidence=0.75, urgency=Urgency.URGENT)),
        (0.5, Verdict(positive=True, confidence=0.5, urgency=Urgency.URGENT)),
        (0.75, Verdict(positive=True, confidence=0.75, urgency=Urgency.STAT)),
        (1.0, Verdict(positive=True, confidence=1.0, urgency=Urgency.STAT)),
    ],
)
def test_thresholds_are_inclusive_and_confidence_is_of_the_statement(probability: float, verdict: Verdict) -> None:
    assert triage(probability, THRESHOLDS) == verdict


def test_the_same_work_has_the_same_id_and_other_work_another() -> None:
    instance = UUID("00000000-0000-4000-8000-000000000001")
    ids = [
        completed_id(instance, 1, "sha256:a"),
        completed_id(instance, 1, "sha256:b"),
        completed_id(instance, 2, "sha256:a"),
        completed_id(uuid4(), 1, "sha256:a"),
        failed_id(instance, 1, "not_dicom"),
        failed_id(instance, 1, "retries_exhausted"),
        failed_id(instance, 2, "retries_exhausted"),
        started_id(instance, 1, 1),
        started_id(instance, 1, 2),
        started_id(instance, 2, 1),
    ]
    assert len(set(ids)) == len(ids)
    assert completed_id(instance, 1, "sha256:a") == ids[0] == "96d9a3f7-9183-57a1-a83a-2637816f7b1c"
