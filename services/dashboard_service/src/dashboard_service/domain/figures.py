"""What counts say: rates with their uncertainty, averages, agreement."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Final, Self

_NORMAL_95: Final = 1.959963984540054
"""The 0.975 quantile of the standard normal distribution."""


class FigureScope(StrEnum):
    """Whose cases are counted."""

    OWN = "own"
    TENANT = "tenant"


class Dimension(StrEnum):
    """By what cases can be told apart."""

    MODALITY = "modality"
    MODEL = "model"
    URGENCY = "urgency"
    CLINICIAN = "clinician"


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95% confidence interval of a share."""

    low: float
    high: float

    @classmethod
    def of(cls, successes: int, total: int) -> Self | None:
        """Wilson's score interval; None where there is nothing to judge by.

        Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
        """
        if not total:
            return None
        share, z2 = successes / total, _NORMAL_95**2
        centre = (share + z2 / (2 * total)) / (1 + z2 / total)
        half = _NORMAL_95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2)) / (1 + z2 / total)
        # At the ends the formula gives 0 and 1 exactly; floating point does not.
        low = 0.0 if successes == 0 else max(0.0, centre - half)
        return cls(low, 1.0 if successes == total else min(1.0, centre + half))


@dataclass(frozen=True, slots=True)
class Counts:
    """Cases of one kind, counted."""

    cases: int = 0
    positives: int = 0
    agreed: int = 0
    """Reports with whose statement the last review agrees; and so on."""
    disagreed: int = 0
    unsure: int = 0
    positives_agreed: int = 0
    """Of the positive reports those agreed with, and so on."""
    positives_disagreed: int = 0
    positives_unsure: int = 0
    confidence_sum: Decimal = Decimal(0)

    def __add__(self, other: Self) -> "Counts":
        return Counts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def positivity_rate(self) -> float | None:
        """Share of positive cases, 0 to 1; None where there is no case."""
        return self.positives / self.cases if self.cases else None

    @property
    def positivity_interval(self) -> Interval | None:
        """Of the positivity rate; None where there is no case."""
        return Interval.of(self.positives, self.cases)

    @property
    def average_confidence(self) -> float | None:
        """Mean calibrated confidence, 0 to 1; None where there is no case."""
        return float(self.confidence_sum / self.cases) if self.cases else None


@dataclass(frozen=True, slots=True)
class Agreement:
    """What reviewers say of reports. Who is unsure neither agrees nor disagrees."""

    agreed: int
    disagreed: int
    unsure: int

    @property
    def reviewed(self) -> int:
        """Reports with a review."""
        return self.agreed + self.disagreed + self.unsure

    @property
    def rate(self) -> float | None:
        """Agreed of agreed and disagreed, 0 to 1; None where there is neither."""
        decided = self.agreed + self.disagreed
        return self.agreed / decided if decided else None

    @property
    def interval(self) -> Interval | None:
        """Of the rate; None where there is none."""
        return Interval.of(self.agreed, self.agreed + self.disagreed)


def agreement_of(counts: Counts) -> Agreement:
    """Over all reports."""
    return Agreement(counts.agreed, counts.disagreed, counts.unsure)


def agreement_on_positives(counts: Counts) -> Agreement:
    """Over the positive reports."""
    return Agreement(counts.positives_agreed, counts.positives_disagreed, counts.positives_unsure)


def agreement_on_negatives(counts: Counts) -> Agreement:
    """Over the negative reports."""
    return Agreement(
        counts.agreed - counts.positives_agreed,
        counts.disagreed - counts.positives_disagreed,
        counts.unsure - counts.positives_unsure,
    )


def total_of(parts: Iterable[Counts]) -> Counts:
    """All together."""
    return sum(parts, Counts())


def withheld(cases: dict[str, int], smallest_group: int) -> set[str]:
    """The clinicians whose figures are not shown, by the number of their cases.

    A figure on fewer cases than `smallest_group` can be one patient's. What is withheld must not follow from the
    tenant's total and the figures that are shown: where the withheld together are fewer, or one alone, the smallest of
    the shown are withheld too.
    """
    ordered = sorted((name for name in cases if cases[name]), key=lambda name: (cases[name], name))
    hidden = [name for name in ordered if cases[name] < smallest_group]
    for name in ordered[len(hidden) :]:
        if not hidden or (len(hidden) > 1 and sum(cases[each] for each in hidden) >= smallest_group):
            break
        hidden.append(name)
    return set(hidden)
