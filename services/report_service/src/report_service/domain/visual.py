"""The visual report: everything that is said on its pages, whatever they are made of."""

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from radrelay_shared.events import Verdict
from report_service.domain.pictures import PictureKind
from report_service.domain.report import Report
from report_service.domain.review import Label
from report_service.domain.wording import (
    LABELS,
    UNREVIEWED,
    URGENCY,
    VERDICTS,
    calibration_words,
    heat_words,
    moment,
    percent,
    statement_of,
    summary_of,
)

LANGUAGE: Final = "en"
SHOWN: Final = (PictureKind.IMAGE, PictureKind.OVERLAY)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: what it is of, and what it says."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a heading of their own."""

    heading: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture, with what it shows in words."""

    name: str
    caption: str
    alt: str
    png: bytes | None
    """None where it cannot be shown; `alt` says why then."""


@dataclass(frozen=True, slots=True)
class ShownReview:
    """What a clinician said of the report last."""

    verdict: Verdict
    label: Label
    note: str | None
    reviewer: str
    reviewed_at: datetime


@dataclass(frozen=True, slots=True)
class VisualReport:
    """One report as it is read."""

    report_id: str
    title: str
    language: str
    notice: str
    statement: str
    summary: str
    positive: bool
    urgency: str
    urgency_words: str
    result: Table
    figures: tuple[Figure, ...]
    meaning: tuple[str, ...]
    review: Table
    tables: tuple[Table, ...]

    def texts(self) -> dict[str, Any]:
        """All but the bytes of pictures, which are named by their digest."""
        content = asdict(self)
        for figure in content["figures"]:
            png = figure.pop("png")
            figure["digest"] = None if png is None else hashlib.sha256(png).hexdigest()
        return content

    def pictures(self) -> dict[str, bytes]:
        """The PNG files of the figures that have one, by name."""
        return {figure.name: figure.png for figure in self.figures if figure.png is not None}

    def digest(self) -> str:
        """Of everything on the pages."""
        return hashlib.sha256(json.dumps(self.texts(), sort_keys=True).encode()).hexdigest()


def visual_report(report: Report, figures: tuple[Figure, ...], review: ShownReview | None) -> VisualReport:
    """What the pages of a report say."""
    return VisualReport(
        report_id=str(report.report_id),
        title=f"Screening report: {report.finding}",
        language=LANGUAGE,
        notice=report.notice,
        statement=statement_of(report),
        summary=summary_of(report),
        positive=report.positive,
        urgency=report.urgency.value,
        urgency_words=URGENCY[report.urgency],
        result=_result(report),
        figures=figures,
        meaning=calibration_words(report),
        review=_review(review),
        tables=(_image(report), _times(report), _model(report)),
    )


def caption_of(kind: PictureKind, report: Report) -> str:
    """What stands below a picture."""
    if kind is PictureKind.IMAGE:
        return f"The image, {_window_words(report)}."
    return (
        "The same with the Grad-CAM heatmap over it, from violet (some evidence for the finding) to pale yellow "
        "(most). It shows where the model found its evidence, not how strong that is, and it is no outline."
    )


def alt_of(kind: PictureKind, report: Report) -> str:
    """What a picture shows, for those who do not see it."""
    body_part = f" of {report.body_part.lower()}" if report.body_part else ""
    subject = f"{report.modality} image{body_part}, frame {report.frame_number}"
    if kind is PictureKind.IMAGE or report.heatmap_npy is None:
        return f"{subject}, {_window_words(report)}, without marks."
    return f"{subject}, with a heatmap. {heat_words(np.load(io.BytesIO(report.heatmap_npy), allow_pickle=False))}"


def _window_words(report: Report) -> str:
    window = None if report.picture is None else report.picture.window
    if window is None:
        return "as it asks to be shown"
    return f"in the model's window (centre {window.center:g}, width {window.width:g})"


def _result(report: Report) -> Table:
    return Table(
        "Result",
        (
            Row("Finding", statement_of(report)),
            Row("Probability of the finding", f"{percent(report.probability)} (calibrated)"),
            Row("Score before calibration", percent(report.probability_raw)),
            Row(
                "Confidence", f"{percent(report.confidence)}: the probability that what is said of the finding is right"
            ),
            Row("Urgency", URGENCY[report.urgency]),
        ),
    )


def _review(review: ShownReview | None) -> Table:
    if review is None:
        return Table("Review by a clinician", (Row("Review", UNREVIEWED),))
    rows = [Row("Verdict", VERDICTS[review.verdict])]
    rows += [Row("Label", LABELS[review.label])]
    rows += [Row("Note", review.note)] if review.note else []
    rows += [Row("Reviewer", review.reviewer), Row("Reviewed", moment(review.reviewed_at))]
    return Table("Review by a clinician", tuple(rows))


def _image(report: Report) -> Table:
    return Table(
        "Image",
        (
            Row("Modality", report.modality),
            Row("Body part", report.body_part or "not stated"),
            Row("Frame", str(report.frame_number)),
            Row("Study Instance UID", report.study_instance_uid),
            Row("Series Instance UID", report.series_instance_uid),
            Row("SOP Instance UID", report.sop_instance_uid),
        ),
    )


def _times(report: Report) -> Table:
    return Table(
        "Times",
        (
            Row("Image received", moment(report.received_at)),
            Row("Screened", moment(report.completed_at)),
            Row("Report made", moment(report.created_at)),
        ),
    )


def _model(report: Report) -> Table:
    model, provenance = report.model, report.provenance
    computed = "not kept" if provenance is None else f"{provenance.runtime_detail}, Radrelay {provenance.code_version}"
    return Table(
        "Model",
        (
            Row("Model", f"{model.name} {model.version}"),
            Row("Weights", model.label),
            Row("Bundle digest", model.digest),
            Row("Computed by", computed),
            Row("Report identifier", str(report.report_id)),
        ),
    )
