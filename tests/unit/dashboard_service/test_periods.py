from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard_service.domain.periods import Grain, ImpossiblePeriod, Period, Step, points

TODAY = date(2026, 3, 14)
PERIODS = st.dates(date(2020, 1, 1), date(2027, 12, 31)).flatmap(
    lambda first: st.integers(1, 900).map(lambda days: Period(first, first + timedelta(days=days - 1)))
)


def test_the_default_is_the_last_30_days_with_today() -> None:
    assert Period.of(None, None, today=TODAY) == Period(date(2026, 2, 13), TODAY)
    assert Period.of(None, None, today=TODAY).days == 30


def test_one_end_gives_the_other() -> None:
    assert Period.of(None, date(2026, 1, 30), today=TODAY) == Period(date(2026, 1, 1), date(2026, 1, 30))
    assert Period.of(date(2026, 3, 1), None, today=TODAY) == Period(date(2026, 3, 1), TODAY)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2026, 3, 15), date(2026, 3, 14)),
        (date(1, 1, 1), date(1, 1, 1)),
        (None, date(1, 1, 1)),
        (date(9999, 12, 31), None),
        (date(1950, 1, 1), date(2026, 1, 1)),
    ],
)
def test_a_period_without_figures_is_refused(first: date | None, last: date | None) -> None:
    with pytest.raises(ImpossiblePeriod):
        Period.of(first, last, today=TODAY)


@given(PERIODS)
def test_the_pieces_of_a_period_are_its_days_each_once(period: Period) -> None:
    days: list[date] = []
    for piece in period.pieces():
        assert piece.start < piece.end
        day = piece.start
        while day < piece.end:
            days.append(day.date())
            day += timedelta(days=1)
        if piece.grain is Grain.MONTH:
            assert (piece.start.day, piece.end.day) == (1, 1)
    assert sorted(days) == [period.first + timedelta(days=number) for number in range(period.days)]


@given(PERIODS)
def test_a_long_period_has_few_rollups(period: Period) -> None:
    assert sum((piece.end - piece.start).days for piece in period.pieces() if piece.grain is Grain.DAY) <= 60


@given(PERIODS)
def test_the_period_before_ends_where_this_one_begins_and_is_as_long(period: Period) -> None:
    assert period.before().last + timedelta(days=1) == period.first
    assert period.before().days == period.days


@given(PERIODS, st.sampled_from(Step))
def test_points_are_evenly_spaced_and_cover_whole_steps(period: Period, step: Step) -> None:
    whole = period.whole(step)
    found = points(whole, step)
    assert whole.first <= period.first
    assert whole.last >= period.last
    assert found[0] == datetime.combine(whole.first, time())
    assert found == sorted(set(found))
    if step is Step.WEEK:
        assert {each.weekday() for each in found} == {0}
        assert whole.days == 7 * len(found)
    if step is Step.MONTH:
        assert {each.day for each in found} == {1}
    if step in (Step.DAY, Step.HOUR):
        assert len(found) == whole.days * (24 if step is Step.HOUR else 1)
