"""Figures for people: their own, or the tenant's for its administrator.

Every function here raises Forbidden and BadRequest as `asking` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from dashboard_service.domain.bins import PROBABILITY_BINS, percentile
from dashboard_service.domain.figures import Counts, Dimension, FigureScope, total_of, withheld
from dashboard_service.domain.periods import Period, Step, points
from dashboard_service.handlers.questions import Asked, FigureStore, Framed, Question, asking
from radrelay_shared.auth import Principal
from radrelay_shared.events import Urgency
from radrelay_shared.http import BadRequest

UNKNOWN_PRIORITY: Final = "unknown"
SHARES: Final = (0.5, 0.9, 0.95, 0.99)
"""Of which percentiles are given."""


@dataclass(frozen=True, slots=True)
class PeriodFigures:
    """Cases and failures of one period."""

    period: Period
    by_urgency_and_model: dict[tuple[Urgency, str, str], Counts]
    failed: int

    @property
    def counts(self) -> Counts:
        """All cases."""
        return total_of(self.by_urgency_and_model.values())


@dataclass(frozen=True, slots=True)
class Summary:
    """A period and the one before it, of the same length."""

    framed: Framed
    now: PeriodFigures
    before: PeriodFigures


@dataclass(frozen=True, slots=True)
class Turnaround:
    """Times from upload to report of one priority, in seconds."""

    cases: int
    percentiles_s: dict[float, float | None]
    """By share: 0.5 is the median."""


@dataclass(frozen=True, slots=True)
class Part:
    """One value of a dimension. `counts` is None where they are withheld."""

    key: tuple[str, ...]
    counts: Counts | None


async def get_summary(question: Question, *, principal: Principal, store: FigureStore) -> Summary:
    """Totals of a period, and of the one before it."""
    async with asking(question, principal, store) as asked:
        now = await _period_figures(asked, asked.framed.period)
        return Summary(asked.framed, now, await _period_figures(asked, asked.framed.period.before()))


async def _period_figures(asked: Asked, period: Period) -> PeriodFigures:
    selection = replace(asked.selection, period=period)
    failed = sum((await asked.unit.failures(selection)).values())
    return PeriodFigures(period, await asked.unit.by_urgency_and_model(selection), failed)


async def get_trend(
    question: Question, step: Step, *, principal: Principal, store: FigureStore
) -> tuple[Framed, list[tuple[datetime, Counts]]]:
    """Counts by the local time at which each step begins; every step of the period is there."""
    async with asking(question, principal, store, step=step) as asked:
        found = await asked.unit.by_step(asked.selection, step)
        return asked.framed, [(start, found.get(start, Counts())) for start in points(asked.framed.period, step)]


async def get_breakdown(
    question: Question, dimension: Dimension, *, principal: Principal, store: FigureStore, smallest_group: int
) -> tuple[Framed, list[Part]]:
    """Counts by one dimension, most cases first; clinicians with few cases come last and without counts.

    Raises:
        BadRequest: clinicians are told apart in the figures of a tenant only.
    """
    if dimension is Dimension.CLINICIAN and question.scope is not FigureScope.TENANT:
        raise BadRequest(code="tenant_scope_needed", detail="Clinicians are told apart with `scope=tenant` only.")
    async with asking(question, principal, store) as asked:
        found = await asked.unit.by_dimension(asked.selection, dimension)
        framed = asked.framed
    hidden: set[str] = set()
    if dimension is Dimension.CLINICIAN:
        hidden = withheld({name: counts.cases for (name,), counts in found.items()}, smallest_group)
    shown = [Part(key, counts) for key, counts in found.items() if key[0] not in hidden]
    shown.sort(key=lambda part: (-(part.counts or Counts()).cases, part.key))
    return framed, shown + [Part((name,), None) for name in sorted(hidden)]


async def get_histogram(
    question: Question, *, principal: Principal, store: FigureStore
) -> tuple[Framed, list[tuple[int, int]]]:
    """Cases, and positive ones, in each bin of the probability."""
    async with asking(question, principal, store) as asked:
        found = await asked.unit.probabilities(asked.selection)
        return asked.framed, [found.get(number, (0, 0)) for number in range(PROBABILITY_BINS)]


async def get_turnaround(
    question: Question, *, principal: Principal, store: FigureStore
) -> tuple[Framed, dict[str, Turnaround]]:
    """Times from upload to report, by the priority that was asked for; `unknown` where an event did not say it."""
    async with asking(question, principal, store) as asked:
        found = await asked.unit.turnarounds(asked.selection)
        by_priority = {name: _turnaround(found.get(name, {})) for name in (*Urgency, UNKNOWN_PRIORITY)}
        return asked.framed, by_priority


def _turnaround(bins: Mapping[int, int]) -> Turnaround:
    return Turnaround(sum(bins.values()), {share: percentile(bins, share) for share in SHARES})


async def get_failures(
    question: Question, *, principal: Principal, store: FigureStore
) -> tuple[Framed, list[tuple[str, int]]]:
    """Images that have no report because they failed, by reason, the most first."""
    async with asking(question, principal, store) as asked:
        found = await asked.unit.failures(asked.selection)
        return asked.framed, sorted(found.items(), key=lambda each: (-each[1], each[0]))


async def get_agreement(question: Question, *, principal: Principal, store: FigureStore) -> tuple[Framed, Counts]:
    """Counts from which follows how often reviewers agree."""
    async with asking(question, principal, store) as asked:
        return asked.framed, total_of((await asked.unit.by_urgency_and_model(asked.selection)).values())


async def list_days(
    question: Question, *, principal: Principal, store: FigureStore
) -> list[tuple[date, str, str, str, str, Counts]]:
    """Counts by day, modality, model digest, model label and urgency, for export; a year and a day at most."""
    async with asking(question, principal, store, step=Step.DAY) as asked:
        return await asked.unit.by_day(asked.selection)
