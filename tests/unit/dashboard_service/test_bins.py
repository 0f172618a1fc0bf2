from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard_service.domain.bins import (
    PROBABILITY_BINS,
    TURNAROUND_ERROR,
    percentile,
    probability_bin,
    turnaround_bin,
    turnaround_of,
)


@pytest.mark.parametrize("number", range(PROBABILITY_BINS))
def test_a_probability_lies_in_the_bin_that_begins_with_it(number: int) -> None:
    assert probability_bin(round(number / PROBABILITY_BINS, 2)) == number
    assert probability_bin(number / PROBABILITY_BINS + 0.0499) == number


def test_the_last_bin_includes_1() -> None:
    assert probability_bin(1.0) == PROBABILITY_BINS - 1


@given(st.floats(0.001, 1e8))
def test_a_bin_stands_for_times_within_the_error(turnaround_s: float) -> None:
    assert turnaround_of(turnaround_bin(turnaround_s)) == pytest.approx(turnaround_s, rel=TURNAROUND_ERROR * (1 + 1e-9))


@pytest.mark.parametrize("turnaround_s", [-5.0, 0.0, 0.0005])
def test_a_time_under_a_millisecond_or_before_the_upload_is_in_the_first_bin(turnaround_s: float) -> None:
    assert turnaround_bin(turnaround_s) == 0


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=50), st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_percentile_is_the_time_of_its_rank_within_the_error(times: list[float], share: float) -> None:
    exact = sorted(times)[int(share * (len(times) - 1))]
    counted = percentile(Counter(map(turnaround_bin, times)), share)
    assert counted == pytest.approx(exact, rel=TURNAROUND_ERROR * (1 + 1e-9))


@given(st.lists(st.floats(0.01, 1e6), min_size=1), st.lists(st.floats(0.01, 1e6), min_size=1))
def test_bins_of_parts_merge_by_adding(first: list[float], second: list[float]) -> None:
    parts = Counter(map(turnaround_bin, first)) + Counter(map(turnaround_bin, second))
    assert percentile(parts, 0.9) == percentile(Counter(map(turnaround_bin, first + second)), 0.9)


def test_without_a_time_there_is_no_percentile() -> None:
    assert percentile({}, 0.5) is None
