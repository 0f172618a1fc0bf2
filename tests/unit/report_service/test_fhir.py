"""A report as FHIR: valid whatever is in it, and no more certain than the report is."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radrelay_shared.events import ModelRef, Provenance, Urgency, Verdict
from report_service.domain.fhir.bundle import report_bundle
from report_service.domain.fhir.reviewed import Reviewed
from report_service.domain.report import Report
from report_service.domain.review import Judgement, Label, Review
from report_service.domain.visual import visual_report
from report_service.domain.wording import LABELS, VERDICTS
from support.events import PROVENANCE, UNTRAINED
from support.fhir import component, resources_of
from support.visual import a_report

AGREE = (Verdict.AGREE, Label.FINDING_PRESENT)
DISAGREE = (Verdict.DISAGREE, Label.OTHER_FINDING)
UNSURE = (Verdict.UNSURE, Label.NOT_ASSESSABLE)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def reviewed(
    report: Report,
    said: tuple[Verdict, Label] = AGREE,
    *,
    note: str | None = None,
    version: int = 1,
    was_settled: bool = False,
) -> Reviewed:
    judgement = Judgement(*said, note, None)
    at = report.created_at + timedelta(hours=version)
    return Reviewed(
        Review(report.tenant, report.report_id, report.owner_id, version, judgement, "dr-b", at), was_settled
    )


def written(report: Report, review: Reviewed | None = None) -> dict[str, list[dict[str, Any]]]:
    return resources_of(json.dumps(report_bundle(report, review)))


def test_a_bundle_has_the_report_what_it_found_the_study_and_the_model() -> None:
    report = a_report(body_part="HEAD")
    found = written(report)
    assert {kind: len(resources) for kind, resources in found.items()} == {
        "DiagnosticReport": 1,
        "Observation": 1,
        "ImagingStudy": 1,
        "Device": 1,
    }
    (study,), (device,), (said,) = found["ImagingStudy"], found["Device"], found["DiagnosticReport"]
    assert said["identifier"][0]["value"] == f"urn:uuid:{report.report_id}"
    assert (said["effectiveDateTime"], said["issued"]) == (
        "2026-03-14T09:30:00.000+00:00",
        "2026-03-14T09:30:03.000+00:00",
    )
    assert study["identifier"] == [{"system": "urn:dicom:uid", "value": f"urn:oid:{report.study_instance_uid}"}]
    (series,) = study["series"]
    assert (series["uid"], series["instance"][0]["uid"]) == (report.series_instance_uid, report.sop_instance_uid)
    assert series["instance"][0]["sopClass"]["code"] == f"urn:oid:{report.sop_class_uid}"
    assert (series["modality"]["code"], series["bodySite"]["display"]) == ("CT", "HEAD")
    assert (device["deviceName"][0]["name"], device["version"][0]["value"]) == (UNTRAINED.name, UNTRAINED.version)
    assert device["identifier"][0]["value"] == UNTRAINED.digest


@pytest.mark.parametrize(("number", "written_number"), [(17, 17), (0, 0), (-1, None), (None, None)])
def test_an_image_has_its_number_in_the_series(number: int | None, written_number: int | None) -> None:
    (study,) = written(a_report(instance_number=number))["ImagingStudy"]
    assert study["series"][0]["instance"][0].get("number") == written_number


@pytest.mark.parametrize(("positive", "interpretation"), [(True, "POS"), (False, "NEG")])
def test_what_the_model_says_is_an_observation_with_its_numbers(*, positive: bool, interpretation: str) -> None:
    report = a_report(positive=positive, probability=0.84, probability_raw=0.91, urgency=Urgency.STAT)
    (observation,) = written(report)["Observation"]
    assert observation["code"]["text"] == report.finding
    assert observation["interpretation"][0]["coding"][0]["code"] == interpretation
    assert component(observation, "probability")["value"] == 0.84
    assert component(observation, "score")["value"] == 0.91
    assert component(observation, "confidence")["value"] == report.confidence
    assert component(observation, "urgency")["coding"] == [
        {"system": "http://hl7.org/fhir/request-priority", "code": "stat", "display": "STAT"}
    ]
    assert component(observation, "frame") == report.frame_number
    assert "torch 2.14.1" in observation["method"]["text"]


@pytest.mark.parametrize(
    ("said", "version", "was_settled", "of_report", "of_finding"),
    [
        (AGREE, 1, False, "final", "final"),
        (DISAGREE, 1, False, "final", "preliminary"),
        (UNSURE, 1, False, "partial", "preliminary"),
        (AGREE, 2, False, "final", "final"),  # nobody was sure before
        (DISAGREE, 2, True, "amended", "preliminary"),
        (UNSURE, 3, True, "amended", "preliminary"),
    ],
)
def test_nothing_is_final_that_no_clinician_answers_for(
    *, said: tuple[Verdict, Label], version: int, was_settled: bool, of_report: str, of_finding: str
) -> None:
    report = a_report()
    found = written(report, reviewed(report, said, version=version, was_settled=was_settled))
    finding, review = found["Observation"]
    statuses = (found["DiagnosticReport"][0]["status"], finding["status"], review["status"])
    assert statuses == (of_report, of_finding, "final" if version == 1 else "amended")


def test_what_nobody_has_reviewed_is_unverified_and_says_so() -> None:
    found = written(a_report())
    assert (found["DiagnosticReport"][0]["status"], found["Observation"][0]["status"]) == ("partial", "preliminary")
    assert "Nobody has reviewed this report yet." in found["DiagnosticReport"][0]["conclusion"]
    assert "resultsInterpreter" not in found["DiagnosticReport"][0]


@pytest.mark.parametrize("said", [AGREE, DISAGREE, UNSURE])
def test_a_review_is_an_observation_of_the_clinicians(said: tuple[Verdict, Label]) -> None:
    report, note = a_report(), "<b>Beam hardening</b> & more"
    review = reviewed(report, said, note=note, version=2)
    found = written(report, review)
    finding, observation = found["Observation"]
    assert observation["valueCodeableConcept"]["text"] == LABELS[said[1]]
    assert component(observation, "verdict")["text"] == VERDICTS[said[0]]
    assert (observation["note"], observation["meta"]) == ([{"text": note}], {"versionId": "2"})
    assert {"reference": f"urn:uuid:{finding['id']}"} in observation["derivedFrom"]
    (diagnostic,) = found["DiagnosticReport"]
    assert diagnostic["result"] == [{"reference": f"urn:uuid:{each['id']}"} for each in (finding, observation)]
    assert diagnostic["resultsInterpreter"] == observation["performer"]
    assert observation["performer"][0]["identifier"]["value"] == "dr-b"
    assert diagnostic["issued"] == observation["issued"] == "2026-03-14T11:30:03.000+00:00"
    assert f"{VERDICTS[said[0]]}. {LABELS[said[1]]}" in diagnostic["conclusion"]


def test_the_notice_goes_with_each_part_that_says_a_result_and_leads_the_conclusion() -> None:
    report = a_report(model=UNTRAINED.model_copy(update={"intended_use": "Trained on synthetic phantoms."}))
    found = written(report, reviewed(report))
    assert report.notice == "For demonstration, not for clinical use. Trained on synthetic phantoms."
    assert found["DiagnosticReport"][0]["conclusion"].startswith(report.notice)
    for resource in (found["Observation"][0], found["Device"][0]):
        assert resource["note"][0]["text"] == report.notice


def test_the_conclusion_is_in_the_words_of_the_visual_report() -> None:
    report = a_report()
    conclusion = written(report)["DiagnosticReport"][0]["conclusion"]
    visual = visual_report(report, (), None)
    for text in (visual.statement, visual.summary, visual.urgency_words, visual.review.rows[0].text, visual.notice):
        assert text in conclusion


def test_no_patient_and_no_owner_is_named() -> None:
    report = a_report(owner_id="dr-who-sent-it")
    text = json.dumps(report_bundle(report, reviewed(report)))
    (study,) = resources_of(text)["ImagingStudy"]
    assert study["subject"]["extension"][0]["valueCode"] == "masked"
    assert [each for each in ('"Patient"', "dr-who-sent-it", report.tenant, report.source_key) if each in text] == []


def test_the_same_report_is_the_same_bundle_and_keeps_its_identifiers_when_it_is_reviewed() -> None:
    report = a_report()
    assert report_bundle(report, reviewed(report)) == report_bundle(report, reviewed(report))
    before = {kind: resources[0]["id"] for kind, resources in written(report).items()}
    after = {kind: resources[0]["id"] for kind, resources in written(report, reviewed(report)).items()}
    assert before == after


def test_reports_by_one_model_share_nothing_but_the_model() -> None:
    one, other = (report_bundle(a_report(), None)["entry"] for _ in range(2))
    shared = {entry["fullUrl"] for entry in one} & {entry["fullUrl"] for entry in other}
    assert [entry["resource"] for entry in one if entry["fullUrl"] in shared] == [one[-1]["resource"]]
    assert one[-1]["resource"] == other[-1]["resource"]
    assert one[-1]["resource"]["resourceType"] == "Device"


@given(*(TEXT for _ in range(6)))
def test_text_of_anybody_makes_a_valid_bundle(
    finding: str, body_part: str, modality: str, model: str, runtime: str, note: str
) -> None:
    report = a_report(
        finding=finding,
        body_part=body_part,
        modality=modality[:16] or "CT",
        model=ModelRef(name=model, version=model, label=model, intended_use=model, digest=UNTRAINED.digest),
        provenance=Provenance(**PROVENANCE.model_dump() | {"runtime_detail": runtime, "code_version": runtime}),
    )
    resources_of(json.dumps(report_bundle(report, reviewed(report, note=note))))


def test_a_modality_that_is_no_code_is_said_in_words() -> None:
    (study,) = written(a_report(modality="ct head"))["ImagingStudy"]
    assert study["modality"] == [{"display": "ct head"}]


def test_a_result_from_before_its_provenance_was_kept_says_so() -> None:
    (observation,) = written(a_report(provenance=None))["Observation"]
    assert "not kept" in observation["method"]["text"]


def without_subject(bundle: dict[str, Any]) -> None:
    del bundle["entry"][2]["resource"]["subject"]


def with_a_lost_reference(bundle: dict[str, Any]) -> None:
    bundle["entry"][0]["resource"]["result"][0]["reference"] += "0"


def with_an_address_twice(bundle: dict[str, Any]) -> None:
    bundle["entry"].append(bundle["entry"][0])


def with_another_address(bundle: dict[str, Any]) -> None:
    bundle["entry"][0]["resource"]["id"] = "other"


def with_a_control_character(bundle: dict[str, Any]) -> None:
    bundle["entry"][3]["resource"]["deviceName"][0]["name"] = "\x01"


@pytest.mark.parametrize("plant", [without_subject, with_a_lost_reference, with_an_address_twice, with_another_address])
def test_what_is_wrong_with_a_bundle_is_found(plant: Callable[[dict[str, Any]], None]) -> None:
    bundle = report_bundle(a_report(), None)
    plant(bundle)
    with pytest.raises(ValueError, match=r"subject|nothing is at|same address|not that of|no FHIR string"):
        resources_of(json.dumps(bundle))
