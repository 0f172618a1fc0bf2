"""What a report's numbers mean, in words that a reader can hold against them."""

from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from radrelay_shared.events import Urgency, Verdict
from report_service.domain.report import Report
from report_service.domain.review import Label

URGENCY: Final = {
    Urgency.STAT: "Stat: read it at once.",
    Urgency.URGENT: "Urgent: read it before routine images.",
    Urgency.ROUTINE: "Routine: read it in its turn.",
}
VERDICTS: Final = {
    Verdict.AGREE: "Agrees with the model",
    Verdict.DISAGREE: "Disagrees with the model",
    Verdict.UNSURE: "Is unsure",
}
LABELS: Final = {
    Label.FINDING_PRESENT: "The finding is present.",
    Label.FINDING_ABSENT: "The finding is absent.",
    Label.OTHER_FINDING: "The finding is absent, and there is another that matters.",
    Label.NOT_ASSESSABLE: "The image does not let it be told.",
}
UNREVIEWED: Final = "Nobody has reviewed this report yet."
_UNCALIBRATED: Final = (
    "Calibration did not change the network's own score here, or the model has none. Nothing in this report says how "
    "often images with such a score show {finding}: read the probability as a score that puts images in order, not as "
    "a frequency."
)
_CALIBRATED: Final = (
    "This probability is calibrated: the network's own score ({raw}) was mapped to how often images with such a score "
    "showed the finding in a set that was kept apart from training. Read so, of 100 images with a probability like "
    "this, {of_hundred} would show {finding}."
)
_UNPROVEN: Final = (
    "That is what calibration aims at, for images like those that it was made on. This report does not hold the counts "
    "of a held-out set that would show how well the model meets it: the model card of the bundle has them, which the "
    "digest below names. Where the finding is rarer or more frequent than in that set, or the images are of another "
    "kind, the share differs too."
)
_SAME: Final = 1e-9
_MARKED: Final = 0.5
"""Of the map's maximum: what lies at or above it counts as where the evidence is strongest."""
_VERTICAL: Final = ("upper", "middle", "lower")
_HORIZONTAL: Final = ("left", "centre", "right")


def statement_of(report: Report) -> str:
    """What the model says of the image."""
    return f"{_capitalised(report.finding)}: {'suspected' if report.positive else 'not suspected'}"


def summary_of(report: Report) -> str:
    """How sure the model is."""
    return f"Probability {percent(report.probability)}, confidence {percent(report.confidence)}"


def percent(share: float) -> str:
    """A share from 0 to 1 in per cent, with one decimal; never 0% or 100%, which no model can know."""
    if share < 0.001:
        return "less than 0.1%"
    return "more than 99.9%" if share > 0.999 else f"{share:.1%}"


def calibration_words(report: Report) -> tuple[str, ...]:
    """What the probability means, paragraph by paragraph: no more than what this report can answer for."""
    if abs(report.probability - report.probability_raw) < _SAME:
        return (_UNCALIBRATED.format(finding=report.finding),)
    calibrated = _CALIBRATED.format(
        raw=percent(report.probability_raw), of_hundred=_of_hundred(report.probability), finding=report.finding
    )
    return calibrated, _UNPROVEN


def heat_words(heat_yx: npt.NDArray[np.float32]) -> str:
    """Where a map has its evidence, for those who do not see it. Sides are those of the picture, not the patient's."""
    peak = float(heat_yx.max())
    if peak <= 0.0:
        return "The map holds no evidence for the finding: nothing is marked."
    marked_yx = heat_yx >= _MARKED * peak
    share = float(marked_yx.mean())
    rows, columns = np.nonzero(marked_yx)
    weights = heat_yx[marked_yx]
    y, x = (
        float(np.average(place + 0.5, weights=weights)) / length
        for place, length in ((rows, heat_yx.shape[0]), (columns, heat_yx.shape[1]))
    )
    where = f"{_VERTICAL[_third(y)]} {_HORIZONTAL[_third(x)]}"
    place = "centre" if where == "middle centre" else where
    return (
        f"The evidence is strongest around the {place} of the picture; {share:.0%} of the picture holds at least half "
        "of the strongest evidence. Left and right are those of the picture."
    )


def moment(at: datetime) -> str:
    """A time in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _of_hundred(share: float) -> str:
    if share < 0.005:
        return "fewer than 1"
    return "more than 99" if share > 0.995 else f"about {round(100 * share)}"


def _third(share: float) -> int:
    return min(2, int(3 * share))


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
