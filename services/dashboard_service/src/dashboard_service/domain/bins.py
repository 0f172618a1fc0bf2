"""Bins that merge by adding: of probabilities, and of turnaround times.

Turnaround times lie in bins that grow by a constant factor, so that a percentile is off by at most
`TURNAROUND_ERROR` of itself, however many times were counted and in however many parts. Source: C. Masson, J. Rim,
H. Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees" (VLDB 2019), section 2.1.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

PROBABILITY_BINS: Final = 20
"""Of equal width; the last one includes 1."""
TURNAROUND_ERROR: Final = 0.02
"""Largest error of a percentile, as a share of it."""
_SHORTEST_S: Final = 0.001
_LONGEST_S: Final = 10.0 * 365.25 * 24 * 3600
_GROWTH: Final = (1 + TURNAROUND_ERROR) / (1 - TURNAROUND_ERROR)


def probability_bin(probability: float) -> int:
    """The bin, from 0, of a probability from 0 to 1. Counted in decimals: 0.15 lies in the bin that begins with it."""
    return min(int(Decimal(repr(probability)) * PROBABILITY_BINS), PROBABILITY_BINS - 1)


def turnaround_bin(turnaround_s: float) -> int:
    """The bin of a time; what is under a millisecond, or negative for want of a right clock, is in bin 0."""
    within_s = min(max(turnaround_s, _SHORTEST_S), _LONGEST_S)
    return math.ceil(math.log(within_s / _SHORTEST_S) / math.log(_GROWTH))


def turnaround_of(number: int) -> float:
    """The time in seconds that stands for a bin: none in it is further away than `TURNAROUND_ERROR`."""
    return _SHORTEST_S * 2 * _GROWTH**number / (_GROWTH + 1)


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """The time in seconds that `share` of all, 0 to 1, do not exceed: that of rank 1 + floor(share * (n - 1)).

    Args:
        counts: how many times lie in each bin.
        share: 0.5 for the median.

    None where there is no time.
    """
    total = sum(counts.values())
    if not total:
        return None
    rank = 1 + math.floor(share * (total - 1))
    for number in sorted(counts):
        rank -= counts[number]
        if rank <= 0:
            return turnaround_of(number)
    raise AssertionError("a rank lies within the total")
