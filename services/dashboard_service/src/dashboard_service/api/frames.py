"""What answers have in common."""

from datetime import date
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from dashboard_service.domain.figures import Agreement, Counts, FigureScope, Interval
from dashboard_service.handlers.questions import Framed


class View(BaseModel):
    """Base of what is answered: made of the objects that handlers return."""

    model_config = ConfigDict(from_attributes=True)


class PeriodView(View):
    """Whole days, both included."""

    first: date
    last: date


class IntervalView(View):
    """A 95% confidence interval (Wilson's score interval)."""

    low: float
    high: float


class FramedView(View):
    """Whose cases, received when, the figures are of."""

    scope: FigureScope
    period: PeriodView
    time_zone: str = Field(description="In which days begin; an IANA name.")

    @staticmethod
    def frame(framed: Framed) -> dict[str, object]:
        """The fields of this base."""
        return {
            "scope": framed.scope,
            "period": PeriodView.model_validate(framed.period),
            "time_zone": framed.time_zone,
        }


class CountsView(View):
    """Cases of one kind."""

    cases: int
    positive: int
    positivity_rate: float | None = Field(description="Share of positive cases, 0 to 1; null where there is no case.")
    positivity_interval: IntervalView | None
    average_confidence: float | None = Field(description="Mean confidence, 0 to 1; null where there is no case.")

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """The view of counts."""
        return cls(
            cases=counts.cases,
            positive=counts.positives,
            positivity_rate=counts.positivity_rate,
            positivity_interval=interval_view(counts.positivity_interval),
            average_confidence=counts.average_confidence,
        )


class AgreementView(View):
    """The last review of each report that has one."""

    reviewed: int
    agreed: int
    disagreed: int
    unsure: int
    rate: float | None = Field(description="Agreed of agreed and disagreed, 0 to 1; null where there is neither.")
    interval: IntervalView | None

    @classmethod
    def of(cls, agreement: Agreement) -> Self:
        """The view of an agreement."""
        return cls.model_validate(agreement)


def interval_view(interval: Interval | None) -> IntervalView | None:
    """The view of an interval."""
    return None if interval is None else IntervalView(low=interval.low, high=interval.high)
