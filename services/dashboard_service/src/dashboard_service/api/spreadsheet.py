"""Figures as CSV (RFC 4180)."""

import csv
import io
from collections.abc import Iterable
from datetime import date
from typing import Final

from dashboard_service.domain.figures import Counts

MEDIA_TYPE: Final = "text/csv; charset=utf-8; header=present"
COLUMNS: Final = (
    *("day", "modality", "model_digest", "model_label", "urgency", "cases", "positive", "positivity_rate"),
    *("average_confidence", "agreed", "disagreed", "unsure"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def written(days: Iterable[tuple[date, str, str, str, str, Counts]]) -> str:
    """A line for each day, modality, model and urgency, under a heading."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for day, *places, counts in days:
        writer.writerow(
            (
                *(day.isoformat(), *(_inert(place) for place in places), counts.cases, counts.positives),
                *(counts.positivity_rate, counts.average_confidence),
                *(counts.agreed, counts.disagreed, counts.unsure),
            )
        )
    return text.getvalue()


def _inert(place: str) -> str:
    """Text that no spreadsheet takes for a formula: modality and label come from outside."""
    return f"'{place}" if place.startswith(_FORMULA) else place
