"""What the model and the clinician say of an image, as FHIR Observations."""

from typing import Final
from uuid import UUID

from radrelay_shared.events import Urgency
from report_service.domain.fhir.datatypes import (
    INTERPRETATION,
    OBSERVATION_CATEGORY,
    OURS,
    PRIORITY,
    UNITS,
    Element,
    annotation,
    coding,
    concept,
    instant,
    person,
    reference,
    said,
)
from report_service.domain.fhir.reviewed import Reviewed, finding_status, review_status
from report_service.domain.report import Report
from report_service.domain.review import Review
from report_service.domain.wording import LABELS, URGENCY, VERDICTS, calibration_words, statement_of

_IMAGING: Final = concept("Imaging", coding(OBSERVATION_CATEGORY, "imaging", "Imaging"))
_POSITIVE: Final = coding(INTERPRETATION, "POS", "Positive")
_NEGATIVE: Final = coding(INTERPRETATION, "NEG", "Negative")
_PRIORITIES: Final = {Urgency.STAT: "STAT", Urgency.URGENT: "Urgent", Urgency.ROUTINE: "Routine"}


def finding(report: Report, reviewed: Reviewed | None, *, of_study: UUID, by_device: UUID) -> Element:
    """What the model says: present or not by its threshold, and how sure it is."""
    interpretation = _POSITIVE if report.positive else _NEGATIVE
    return {
        "resourceType": "Observation",
        "status": finding_status(reviewed),
        "category": [_IMAGING],
        # Findings are named by bundles, in words.
        "code": concept(report.finding),
        "effectiveDateTime": instant(report.received_at),
        "issued": instant(report.created_at),
        "valueCodeableConcept": concept(statement_of(report)),
        "interpretation": [concept(interpretation["display"], interpretation)],
        "note": [annotation(each) for each in (report.notice, *calibration_words(report))],
        "method": concept(_computed(report)),
        "device": reference(by_device),
        "derivedFrom": [reference(of_study)],
        "component": _components(report),
    }


def review_of(report: Report, review: Review, *, of_study: UUID, of_finding: UUID) -> Element:
    """What the clinician says of the image and of what the model said."""
    judgement = review.judgement
    label, verdict = LABELS[judgement.label], VERDICTS[judgement.verdict]
    observation = {
        "resourceType": "Observation",
        "meta": {"versionId": str(review.version)},
        "status": review_status(review),
        "category": [_IMAGING],
        "code": concept("Review by a clinician", coding(OURS, "review", "Review")),
        "effectiveDateTime": instant(report.received_at),
        "issued": instant(review.reviewed_at),
        "performer": [person(review.reviewer)],
        "valueCodeableConcept": concept(label, coding(OURS, judgement.label, label)),
        "derivedFrom": [reference(of_study), reference(of_finding)],
        "component": [
            {
                "code": concept("Verdict on what the model says", coding(OURS, "verdict", "Verdict")),
                "valueCodeableConcept": concept(verdict, coding(OURS, judgement.verdict, verdict)),
            }
        ],
    }
    if judgement.note:
        observation["note"] = [annotation(judgement.note)]
    return observation


def _components(report: Report) -> list[Element]:
    urgency = coding(PRIORITY, report.urgency, _PRIORITIES[report.urgency])
    return [
        _share("probability", "Probability of the finding, calibrated", report.probability),
        _share("score", "Score before calibration", report.probability_raw),
        _share(
            "confidence", "Confidence: the probability that what is said of the finding is right", report.confidence
        ),
        {
            "code": concept("Urgency", coding(OURS, "urgency", "Urgency")),
            "valueCodeableConcept": concept(URGENCY[report.urgency], urgency),
        },
        {
            "code": concept("Frame that the result is of, from 1", coding(OURS, "frame", "Frame")),
            "valueInteger": report.frame_number,
        },
    ]


def _share(code: str, text: str, value: float) -> Element:
    quantity = {"value": value, "unit": "from 0 to 1", "system": UNITS, "code": "1"}
    return {"code": concept(text, coding(OURS, code, code.capitalize())), "valueQuantity": quantity}


def _computed(report: Report) -> str:
    """What computed it, as far as it was kept."""
    if report.provenance is None:
        return "Screening model; what computed it was not kept"
    detail, version = said(report.provenance.runtime_detail), said(report.provenance.code_version)
    return f"Screening model, computed by {detail}, Radrelay {version}"
