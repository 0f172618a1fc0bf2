"""One report as a FHIR Bundle: report, observations, study and model, which point to each other."""

import re
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from report_service.domain.fhir.datatypes import (
    DICOM,
    DICOM_UID,
    LOINC,
    SERVICE_SECTION,
    URI,
    Element,
    annotation,
    coding,
    concept,
    identifier,
    instant,
    oid,
    person,
    reference,
    said,
    urn,
    withheld,
)
from report_service.domain.fhir.observations import finding, review_of
from report_service.domain.fhir.reviewed import Reviewed, report_status
from report_service.domain.report import Report
from report_service.domain.wording import LABELS, UNREVIEWED, URGENCY, VERDICTS, statement_of, summary_of

_NAMESPACE: Final = uuid5(NAMESPACE_URL, "https://radrelay.org/fhir")
_IMAGING: Final = concept("Imaging", coding(SERVICE_SECTION, "IMG", "Diagnostic Imaging"))
_STUDY_REPORT: Final = coding(LOINC, "18748-4", "Diagnostic imaging study")
_BUNDLE_DIGEST: Final = "urn:radrelay:bundle-digest"
_CODE_STRING: Final = re.compile(r"[A-Z0-9_]+")
"""A value of VR CS without blanks within (DICOM PS3.5 section 6.2)."""


def report_bundle(report: Report, reviewed: Reviewed | None) -> Element:
    """The report as a Bundle of type `collection`; the same one as long as its review stands.

    It names no patient, as the visual report does not.
    """
    finding_id, review_id, study_id = (_part(report, name) for name in ("finding", "review", "imaging-study"))
    # What it says follows from the bundle's digest alone, so that all reports by a model name the same device.
    device_id = uuid5(_NAMESPACE, f"device:{report.model.digest}")
    resources = {
        finding_id: finding(report, reviewed, of_study=study_id, by_device=device_id),
        study_id: _imaging_study(report),
        device_id: _device(report),
    }
    if reviewed is not None:
        resources[review_id] = review_of(report, reviewed.review, of_study=study_id, of_finding=finding_id)
    results = [each for each in (finding_id, review_id) if each in resources]
    entries = {report.report_id: _diagnostic_report(report, reviewed, results, study_id)} | resources
    return {
        "resourceType": "Bundle",
        "identifier": identifier(URI, urn(_part(report, "bundle"))),
        "type": "collection",
        "timestamp": _issued(report, reviewed),
        "entry": [
            {"fullUrl": urn(each), "resource": {"resourceType": resource["resourceType"], "id": str(each)} | resource}
            for each, resource in entries.items()
        ],
    }


def _part(report: Report, name: str) -> UUID:
    return uuid5(_NAMESPACE, f"{name}:{report.report_id}")


def _issued(report: Report, reviewed: Reviewed | None) -> str:
    return instant(report.created_at if reviewed is None else reviewed.review.reviewed_at)


def _diagnostic_report(report: Report, reviewed: Reviewed | None, results: list[UUID], study_id: UUID) -> Element:
    resource = {
        "resourceType": "DiagnosticReport",
        "identifier": [identifier(URI, urn(report.report_id))],
        "status": report_status(reviewed),
        "category": [_IMAGING],
        "code": concept(f"Screening report: {report.finding}", _STUDY_REPORT),
        # When the image was taken is not kept.
        "effectiveDateTime": instant(report.received_at),
        "issued": _issued(report, reviewed),
        "result": [reference(each) for each in results],
        "imagingStudy": [reference(study_id)],
        "conclusion": _conclusion(report, reviewed),
    }
    if reviewed is not None:
        resource["resultsInterpreter"] = [person(reviewed.review.reviewer)]
    return resource


def _conclusion(report: Report, reviewed: Reviewed | None) -> str:
    """In the words of the visual report; what it may be used for comes first, then what a clinician says."""
    review = UNREVIEWED
    if reviewed is not None:
        judgement = reviewed.review.judgement
        review = f"Review by a clinician: {VERDICTS[judgement.verdict]}. {LABELS[judgement.label]}"
    model = f"The model: {statement_of(report)}. {summary_of(report)}. {URGENCY[report.urgency]}"
    return said("\n".join((report.notice, review, model)))


def _imaging_study(report: Report) -> Element:
    modality = _modality(report.modality)
    instance: Element = {
        "uid": report.sop_instance_uid,
        "sopClass": {"system": URI, "code": oid(report.sop_class_uid)},
    }
    if report.instance_number is not None and report.instance_number >= 0:  # FHIR's is unsigned, DICOM's is not
        instance["number"] = report.instance_number
    series: Element = {
        # Of type `id`, and so without `urn:oid:`, as are those of instances.
        "uid": report.series_instance_uid,
        "modality": modality,
        "instance": [instance],
    }
    if report.body_part:
        series["bodySite"] = {"display": said(report.body_part)}
    return {
        "resourceType": "ImagingStudy",
        "identifier": [identifier(DICOM_UID, oid(report.study_instance_uid))],
        "status": "available",
        "modality": [modality],
        "subject": withheld(),
        "series": [series],
        "note": [annotation("Of the study, the one image that the report is of.")],
    }


def _modality(value: str) -> Element:
    """The Modality of the image; in words where it can be no code of DICOM's."""
    return {"system": DICOM, "code": value} if _CODE_STRING.fullmatch(value) else {"display": said(value)}


def _device(report: Report) -> Element:
    model = report.model
    return {
        "resourceType": "Device",
        "identifier": [identifier(_BUNDLE_DIGEST, model.digest)],
        "deviceName": [{"name": said(model.name), "type": "model-name"}],
        "type": concept("Screening model (software)"),
        "version": [{"value": said(model.version)}],
        "note": [annotation(report.notice), annotation(f"Weights: {said(model.label)}")],
    }
