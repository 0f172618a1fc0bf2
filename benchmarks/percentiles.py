"""Percentiles of measured times."""

from collections.abc import Mapping, Sequence
from statistics import quantiles
from typing import TypeVar

from benchmarks.results import Spread

Key = TypeVar("Key")


def percentile(values: Sequence[float], percent: int) -> float:
    """One of the 99 percentiles of at least two values."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def ratio(rounds: Sequence[Mapping[Key, Sequence[float]]], of: Key, by: Key, percent: int) -> Spread:
    """In each round, a percentile of one kind of times by that of another."""
    return Spread.of([percentile(times[of], percent) / percentile(times[by], percent) for times in rounds])


def pooled(rounds: Sequence[Mapping[Key, Sequence[float]]]) -> dict[Key, list[float]]:
    """Times of all rounds together; each round has the same kinds."""
    return {key: [each for times in rounds for each in times[key]] for key in rounds[0]}
