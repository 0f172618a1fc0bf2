"""What a calibrated probability means for a case."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from inference_service.bundles.manifest import Thresholds
from radrelay_shared.events import Urgency


@dataclass(frozen=True, slots=True)
class Verdict:
    """The statement that a report makes."""

    positive: bool
    confidence: float
    """Calibrated probability that the statement is right."""
    urgency: Urgency


class Score(Protocol):
    """What a model said of one frame."""

    @property
    def probability(self) -> float:
        """Calibrated."""

    @property
    def logit(self) -> float:
        """Before any calibration."""


def decisive_frame(scores: Sequence[Score]) -> int:
    """Index of the most suspicious frame, whose score is the image's; the first of equals."""
    return max(range(len(scores)), key=lambda index: (scores[index].probability, scores[index].logit, -index))


def triage(probability: float, thresholds: Thresholds) -> Verdict:
    """Positive, and urgent or stat, from the bundle's thresholds on (inclusive)."""
    positive = probability >= thresholds.positive
    if probability >= thresholds.stat:
        urgency = Urgency.STAT
    elif probability >= thresholds.urgent:
        urgency = Urgency.URGENT
    else:
        urgency = Urgency.ROUTINE
    return Verdict(positive, probability if positive else 1.0 - probability, urgency)
