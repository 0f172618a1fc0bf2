"""Spans of local days, and the rollups that they are made of."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final

DEFAULT_DAYS: Final = 30
_LONGEST_DAYS: Final = 20 * 366
_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 2200


class Grain(StrEnum):
    """What rollups there are: each case is in one of each."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Step(StrEnum):
    """The distance between the points of a trend. Weeks begin on Mondays (ISO 8601)."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


LONGEST_TREND_DAYS: Final = {Step.HOUR: 31, Step.DAY: 366, Step.WEEK: 2 * 366, Step.MONTH: _LONGEST_DAYS}
"""So that no answer has more than some hundred points."""


class ImpossiblePeriod(ValueError):
    """A period ends before it begins, is too long, or lies outside the calendar."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Rollups of one grain from `start` up to, and without, `end`."""

    grain: Grain
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days of the tenant's time zone, both included."""

    first: date
    last: date

    @classmethod
    def of(cls, first: date | None, last: date | None, *, today: date) -> "Period":
        """A period from what was asked for: by default the last 30 days, today included.

        Raises:
            ImpossiblePeriod: no figures can be had for it.
        """
        end = last or max(today, first or today)
        for day in (end, first or end):
            if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
                raise ImpossiblePeriod(f"A period lies within the years {_FIRST_YEAR} to {_LAST_YEAR}.")
        begin = first or end - timedelta(days=DEFAULT_DAYS - 1)
        return cls(begin, end).at_most(_LONGEST_DAYS)

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    def at_most(self, days: int) -> "Period":
        """The period itself.

        Raises:
            ImpossiblePeriod: it is longer than so many days, or ends before it begins.
        """
        if self.first > self.last:
            raise ImpossiblePeriod("The period ends before it begins.")
        if self.days > days:
            raise ImpossiblePeriod(f"The period has {self.days} days, and may have {days} here.")
        return self

    def before(self) -> "Period":
        """As many days, just before this one."""
        return Period(self.first - timedelta(days=self.days), self.first - timedelta(days=1))

    def pieces(self) -> list[Piece]:
        """Whole months, and the days before and after them: few rows, however many days."""
        end = self.last + timedelta(days=1)
        months_from = self.first if self.first.day == 1 else _next_month(self.first)
        months_to = end.replace(day=1)
        if months_from >= months_to:
            return [_piece(Grain.DAY, self.first, end)]
        spans = ((Grain.DAY, self.first, months_from), (Grain.MONTH, months_from, months_to))
        return [_piece(*span) for span in (*spans, (Grain.DAY, months_to, end)) if span[1] < span[2]]

    def whole(self, step: Step) -> "Period":
        """The period with the weeks or months whole in which it begins and ends."""
        if step is Step.WEEK:
            return Period(
                self.first - timedelta(days=self.first.weekday()), self.last + timedelta(days=6 - self.last.weekday())
            )
        if step is Step.MONTH:
            return Period(self.first.replace(day=1), _next_month(self.last) - timedelta(days=1))
        return self

    def rollups(self, grain: Grain) -> Piece:
        """All rollups of one grain that begin in the period."""
        return _piece(grain, self.first, self.last + timedelta(days=1))


def points(period: Period, step: Step) -> list[datetime]:
    """The local times at which the steps of a period of whole steps begin."""
    start, end = datetime.combine(period.first, time()), datetime.combine(period.last + timedelta(days=1), time())
    found = []
    while start < end:
        found.append(start)
        start = _after(start, step)
    return found


def _after(start: datetime, step: Step) -> datetime:
    if step is Step.MONTH:
        return datetime.combine(_next_month(start.date()), time())
    return start + {Step.HOUR: timedelta(hours=1), Step.DAY: timedelta(days=1), Step.WEEK: timedelta(weeks=1)}[step]


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _piece(grain: Grain, start: date, end: date) -> Piece:
    return Piece(grain, datetime.combine(start, time()), datetime.combine(end, time()))
