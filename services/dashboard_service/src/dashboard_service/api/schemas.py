"""What the API answers."""

from datetime import datetime
from typing import Self

from pydantic import Field

from dashboard_service.api.frames import (
    AgreementView,
    CountsView,
    FramedView,
    IntervalView,
    PeriodView,
    View,
    interval_view,
)
from dashboard_service.domain.bins import PROBABILITY_BINS, TURNAROUND_ERROR
from dashboard_service.domain.figures import (
    Counts,
    Dimension,
    FigureScope,
    agreement_of,
    agreement_on_negatives,
    agreement_on_positives,
)
from dashboard_service.domain.periods import Step
from dashboard_service.handlers.questions import Framed
from dashboard_service.handlers.reading import Part, PeriodFigures, Summary, Turnaround
from radrelay_shared.events import Urgency


class ModelView(View):
    """The cases that one model read."""

    digest: str
    label: str = Field(description="What the weights are, such as 'untrained': show it with the figures.")
    cases: int


class PeriodFiguresView(View):
    """The figures of one period."""

    period: PeriodView
    total_cases: int
    positive_cases: int
    positivity_rate: float | None = Field(description="Share of positive cases, 0 to 1; null where there is no case.")
    positivity_interval: IntervalView | None
    average_confidence: float | None = Field(description="Mean confidence, 0 to 1; null where there is no case.")
    failed_cases: int = Field(description="Images that got no result; not among the cases.")
    reviewed_cases: int
    by_urgency: dict[Urgency, int]
    by_model: list[ModelView]

    @classmethod
    def of_period(cls, figures: PeriodFigures) -> dict[str, object]:
        """The fields of a period's figures."""
        counts = figures.counts
        by_urgency = dict.fromkeys(Urgency, 0)
        by_model: dict[tuple[str, str], int] = {}
        for (urgency, *model), part in figures.by_urgency_and_model.items():
            by_urgency[urgency] += part.cases
            by_model[model[0], model[1]] = by_model.get((model[0], model[1]), 0) + part.cases
        return {
            "period": PeriodView.model_validate(figures.period),
            "total_cases": counts.cases,
            "positive_cases": counts.positives,
            "positivity_rate": counts.positivity_rate,
            "positivity_interval": interval_view(counts.positivity_interval),
            "average_confidence": counts.average_confidence,
            "failed_cases": figures.failed,
            "reviewed_cases": agreement_of(counts).reviewed,
            "by_urgency": by_urgency,
            "by_model": [
                ModelView(digest=digest, label=label, cases=cases)
                for (digest, label), cases in sorted(by_model.items())
            ],
        }


class SummaryView(PeriodFiguresView):
    """All cases of the scope in a period, and in the period before it."""

    scope: FigureScope
    time_zone: str = Field(description="In which days begin; an IANA name.")
    before: PeriodFiguresView = Field(description="As many days just before.")

    @classmethod
    def of(cls, summary: Summary) -> Self:
        """The view of a summary."""
        fields = cls.of_period(summary.now) | {
            "scope": summary.framed.scope,
            "time_zone": summary.framed.time_zone,
            "before": cls.of_period(summary.before),
        }
        return cls.model_validate(fields)


class PointView(CountsView):
    """The cases received in one step."""

    start: str = Field(
        description="Local time at which the step begins, without an offset.",
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:00:00$",
    )


class TrendView(FramedView):
    """Every step of the period, in order; a week begins on Monday."""

    step: Step
    points: list[PointView]

    @classmethod
    def of(cls, framed: Framed, step: Step, points: list[tuple[datetime, Counts]]) -> Self:
        """The view of a trend."""
        views = [{**dict(CountsView.of(counts)), "start": start.isoformat()} for start, counts in points]
        return cls.model_validate({**cls.frame(framed), "step": step, "points": views})


class PartView(View):
    """The cases of one value. Figures are null where they are withheld."""

    value: str = Field(description="Modality, digest of the model, urgency, or the `sub` of a clinician.")
    label: str | None = Field(description="Of a model: what its weights are; show it with the figures. Else null.")
    withheld: bool = Field(description="There are too few cases to show, or others' could be told from these.")
    counts: CountsView | None
    agreement: AgreementView | None

    @classmethod
    def of(cls, part: Part) -> Self:
        """The view of a part."""
        value, *label = part.key
        return cls(
            value=value,
            label=label[0] if label else None,
            withheld=part.counts is None,
            counts=CountsView.of(part.counts) if part.counts else None,
            agreement=AgreementView.of(agreement_of(part.counts)) if part.counts else None,
        )


class BreakdownView(FramedView):
    """Cases by one dimension, most first."""

    dimension: Dimension
    smallest_group: int = Field(description="Figures of clinicians on fewer cases are withheld; 0: none are.")
    parts: list[PartView]

    @classmethod
    def of(cls, framed: Framed, dimension: Dimension, parts: list[Part], smallest_group: int) -> Self:
        """The view of a breakdown."""
        fields = {
            "dimension": dimension,
            "smallest_group": smallest_group,
            "parts": [PartView.of(each) for each in parts],
        }
        return cls.model_validate({**cls.frame(framed), **fields})


class BinView(View):
    """Cases with a probability from `low`, up to and without `high`; the last bin includes 1."""

    low: float
    high: float
    cases: int
    positive: int


class HistogramView(FramedView):
    """Cases by calibrated probability."""

    bins: list[BinView]

    @classmethod
    def of(cls, framed: Framed, bins: list[tuple[int, int]]) -> Self:
        """The view of a histogram."""
        views = [
            BinView(low=number / PROBABILITY_BINS, high=(number + 1) / PROBABILITY_BINS, cases=cases, positive=positive)
            for number, (cases, positive) in enumerate(bins)
        ]
        return cls.model_validate({**cls.frame(framed), "bins": views})


class TurnaroundPartView(View):
    """Times from upload to report of one priority."""

    priority: str = Field(description="As it was asked for at upload; `unknown` where no event said it.")
    cases: int
    p50_s: float | None
    p90_s: float | None
    p95_s: float | None
    p99_s: float | None


class TurnaroundView(FramedView):
    """Percentiles of the time from upload to report."""

    relative_error: float = Field(default=TURNAROUND_ERROR, description="A percentile is off by at most this share.")
    by_priority: list[TurnaroundPartView]

    @classmethod
    def of(cls, framed: Framed, by_priority: dict[str, Turnaround]) -> Self:
        """The view of turnaround times."""
        parts = [
            {
                "priority": priority,
                "cases": each.cases,
                **{f"p{share * 100:.0f}_s": seconds for share, seconds in each.percentiles_s.items()},
            }
            for priority, each in by_priority.items()
        ]
        return cls.model_validate({**cls.frame(framed), "by_priority": parts})


class FailureView(View):
    """Images that failed for one reason."""

    reason: str
    failed_cases: int


class FailuresView(FramedView):
    """Images that have no report because they failed, most frequent reason first."""

    reasons: list[FailureView]

    @classmethod
    def of(cls, framed: Framed, reasons: list[tuple[str, int]]) -> Self:
        """The view of failures."""
        views = [FailureView(reason=reason, failed_cases=failed) for reason, failed in reasons]
        return cls.model_validate({**cls.frame(framed), "reasons": views})


class AgreementsView(FramedView):
    """How often reviewers agree with reports."""

    all: AgreementView
    positive: AgreementView = Field(description="With reports that state the finding.")
    negative: AgreementView = Field(description="With reports that state that there is none.")

    @classmethod
    def of(cls, framed: Framed, counts: Counts) -> Self:
        """The view of the reviews."""
        parts = {
            "all": agreement_of(counts),
            "positive": agreement_on_positives(counts),
            "negative": agreement_on_negatives(counts),
        }
        return cls.model_validate(
            {**cls.frame(framed), **{name: AgreementView.of(each) for name, each in parts.items()}}
        )
