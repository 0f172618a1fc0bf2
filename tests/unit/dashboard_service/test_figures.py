from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard_service.domain.figures import (
    Agreement,
    Counts,
    Interval,
    agreement_of,
    agreement_on_negatives,
    agreement_on_positives,
    total_of,
    withheld,
)


def test_without_a_case_there_is_no_rate_no_interval_and_no_average() -> None:
    nothing = Counts()
    assert (nothing.positivity_rate, nothing.positivity_interval, nothing.average_confidence) == (None, None, None)


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    # R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Stat. Med. 17 (1998), method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_wilsons(successes: int, total: int, low: float, high: float) -> None:
    interval = Interval.of(successes, total)
    assert interval is not None
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


@given(st.integers(1, 10**7).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_the_interval_holds_the_share_and_lies_within_0_and_1(counts: tuple[int, int]) -> None:
    interval = Interval.of(*counts)
    assert interval is not None
    assert 0 <= interval.low <= counts[0] / counts[1] <= interval.high <= 1


def test_counts_add_up() -> None:
    total = total_of([Counts(cases=2, positives=1, confidence_sum=Decimal("1.7")), Counts(cases=1, agreed=1)])
    assert (total.cases, total.positives, total.agreed, total.confidence_sum) == (3, 1, 1, Decimal("1.7"))


def test_who_is_unsure_neither_agrees_nor_disagrees() -> None:
    agreement = Agreement(agreed=3, disagreed=1, unsure=6)
    assert (agreement.reviewed, agreement.rate) == (10, 0.75)
    assert Agreement(0, 0, 2).rate is None


def test_agreement_is_split_by_what_the_report_states() -> None:
    counts = Counts(
        agreed=5, disagreed=4, unsure=3, positives_agreed=2, positives_disagreed=3, positives_unsure=1, cases=20
    )
    assert agreement_of(counts) == Agreement(5, 4, 3)
    assert agreement_on_positives(counts) == Agreement(2, 3, 1)
    assert agreement_on_negatives(counts) == Agreement(3, 1, 2)


@pytest.mark.parametrize(
    ("cases", "hidden"),
    [
        ({"a": 9, "b": 5}, set()),
        ({"a": 9, "b": 1, "c": 2, "d": 2}, {"b", "c", "d"}),
        ({"a": 9, "b": 4}, {"a", "b"}),  # else b is the total less a
        ({"a": 50, "b": 9, "c": 2, "d": 2}, {"b", "c", "d"}),  # two of 4 in all are too few together
        ({"a": 4}, {"a"}),
        ({"a": 9, "b": 0}, set()),
        ({}, set()),
    ],
)
def test_small_groups_are_withheld_and_do_not_follow_from_the_others(cases: dict[str, int], hidden: set[str]) -> None:
    assert withheld(cases, 5) == hidden


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 30), max_size=8), st.integers(0, 12))
def test_what_is_withheld_is_never_one_alone_nor_too_few_together(cases: dict[str, int], smallest: int) -> None:
    hidden = withheld(cases, smallest)
    shown = {name: number for name, number in cases.items() if number and name not in hidden}
    assert all(number >= smallest for number in shown.values())
    if hidden and shown:
        assert len(hidden) > 1
        assert sum(cases[name] for name in hidden) >= smallest


def test_nothing_is_withheld_where_no_smallest_group_is_set() -> None:
    assert withheld({"a": 1, "b": 100}, 0) == set()
