import csv
import io
from datetime import date
from decimal import Decimal

from dashboard_service.api.spreadsheet import COLUMNS, written
from dashboard_service.domain.figures import Counts


def test_a_line_for_each_day_under_a_heading() -> None:
    counts = Counts(cases=4, positives=1, agreed=2, confidence_sum=Decimal("3.2"))
    text = written([(date(2026, 3, 14), "CT", "sha256:5e", "for demonstration, only", "stat", counts)])
    (line,) = csv.DictReader(io.StringIO(text))
    assert tuple(line) == COLUMNS
    assert (line["day"], line["model_label"], line["cases"]) == ("2026-03-14", "for demonstration, only", "4")
    assert (line["positivity_rate"], line["average_confidence"], line["agreed"]) == ("0.25", "0.8", "2")


def test_text_from_outside_is_no_formula() -> None:
    text = written([(date(2026, 3, 14), "=1+1", "sha256:5e", "@SUM(A1)", "stat", Counts(cases=1))])
    (line,) = csv.DictReader(io.StringIO(text))
    assert (line["modality"], line["model_label"]) == ("'=1+1", "'@SUM(A1)")
