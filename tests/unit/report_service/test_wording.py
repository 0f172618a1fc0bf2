"""What is said of a report's numbers, and of where its heat lies."""

from typing import Any

import numpy as np
import pytest

from radrelay_shared.events import Heatmap
from report_service.domain.pictures import PictureKind
from report_service.domain.visual import alt_of
from report_service.domain.wording import calibration_words, heat_words, percent, statement_of
from support.visual import a_report


@pytest.mark.parametrize(
    ("share", "text"),
    [
        *((0.84, "84.0%"), (0.001, "0.1%"), (0.999, "99.9%")),
        *((0.0, "less than 0.1%"), (0.00099, "less than 0.1%"), (0.9991, "more than 99.9%"), (1.0, "more than 99.9%")),
    ],
)
def test_a_share_is_never_shown_as_nothing_or_all(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("probability", "of_hundred"), [(0.84, "about 84"), (0.004, "fewer than 1"), (0.999, "more than 99")]
)
def test_a_calibrated_probability_is_told_as_a_frequency_with_what_is_not_known(
    probability: float, of_hundred: str
) -> None:
    said = " ".join(calibration_words(a_report(probability=probability, probability_raw=0.5)))
    assert f"of 100 images with a probability like this, {of_hundred} would show intracranial haemorrhage" in said
    assert "(50.0%)" in said
    assert "does not hold the counts of a held-out set" in said


def test_a_probability_that_no_calibration_changed_is_not_told_as_a_frequency() -> None:
    said = " ".join(calibration_words(a_report(probability=0.7, probability_raw=0.7)))
    assert "of 100 images" not in said
    assert "not as a frequency" in said


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"positive": True}, "Intracranial haemorrhage: suspected"),
        ({"positive": False}, "Intracranial haemorrhage: not suspected"),
    ],
)
def test_the_statement_says_what_the_model_says(changes: dict[str, Any], text: str) -> None:
    assert statement_of(a_report(**changes)) == text


@pytest.mark.parametrize(
    ("row", "column", "place"),
    [(0, 0, "upper left"), (0, 4, "upper centre"), (4, 8, "middle right"), (4, 4, "centre"), (8, 0, "lower left")],
)
def test_heat_is_told_by_its_place(row: int, column: int, place: str) -> None:
    heat_yx = np.full((9, 9), 0.1, np.float32)
    heat_yx[row, column] = 1.0
    said = heat_words(heat_yx)
    assert f"around the {place} of the picture" in said
    assert "1% of the picture" in said


def test_no_heat_is_told_as_none() -> None:
    assert "no evidence" in heat_words(np.zeros((3, 3), np.float32))


def test_a_pictures_text_says_what_it_shows() -> None:
    heat = np.eye(3, dtype="<f4")[::-1]
    report = a_report(heatmap=Heatmap.of_bytes(heat.tobytes(), rows=3, columns=3))
    assert alt_of(PictureKind.IMAGE, report) == (
        "CT image of head, frame 1, in the model's window (centre 40, width 80), without marks."
    )
    assert alt_of(PictureKind.OVERLAY, report).startswith("CT image of head, frame 1, with a heatmap. The evidence is")
