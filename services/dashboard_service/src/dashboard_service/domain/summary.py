"""What the counts say."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from radrelay_shared.events import Urgency


class SummaryScope(StrEnum):
    """Whose cases are summed up."""

    OWN = "own"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class Cell:
    """The cases of one day, urgency and model."""

    day: date
    urgency: Urgency
    model_digest: str
    model_label: str
    cases: int
    positives: int
    confidence_sum: Decimal


@dataclass(frozen=True, slots=True)
class DayCount:
    """The cases received on one UTC day."""

    day: date
    cases: int
    positive: int


@dataclass(frozen=True, slots=True)
class ModelCount:
    """The cases that one model read; the label says what its weights are worth."""

    digest: str
    label: str
    cases: int


@dataclass(frozen=True, slots=True)
class Summary:
    """All cases of a scope."""

    scope: SummaryScope
    total_cases: int
    positive_cases: int
    positivity_rate: float | None
    """Share of positive cases, 0 to 1; None where there is no case."""
    average_confidence: float | None
    """Mean calibrated confidence, 0 to 1; None where there is no case."""
    failed_cases: int
    by_urgency: dict[Urgency, int]
    by_day: tuple[DayCount, ...]
    by_model: tuple[ModelCount, ...]


def summarise(scope: SummaryScope, cells: Iterable[Cell], *, failed_cases: int) -> Summary:
    """Sum up cells, in whatever order they come; days ascend, models go by digest."""
    cases = positives = 0
    confidence_sum = Decimal(0)
    by_urgency = dict.fromkeys(Urgency, 0)
    by_day: dict[date, tuple[int, int]] = defaultdict(lambda: (0, 0))
    by_model: dict[tuple[str, str], int] = defaultdict(int)
    for cell in cells:
        cases += cell.cases
        positives += cell.positives
        confidence_sum += cell.confidence_sum
        by_urgency[cell.urgency] += cell.cases
        day_cases, day_positives = by_day[cell.day]
        by_day[cell.day] = (day_cases + cell.cases, day_positives + cell.positives)
        by_model[cell.model_digest, cell.model_label] += cell.cases
    return Summary(
        scope=scope,
        total_cases=cases,
        positive_cases=positives,
        positivity_rate=positives / cases if cases else None,
        average_confidence=float(confidence_sum / cases) if cases else None,
        failed_cases=failed_cases,
        by_urgency=by_urgency,
        by_day=tuple(DayCount(day, *counts) for day, counts in sorted(by_day.items())),
        by_model=tuple(ModelCount(*model, count) for model, count in sorted(by_model.items())),
    )
