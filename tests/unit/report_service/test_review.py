from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from radrelay_shared.events import Verdict
from report_service.api.tags import is_current, tag_of
from report_service.domain.region import Region
from report_service.domain.report import Report, report_from_result
from report_service.domain.review import (
    ImpossibleReview,
    Judgement,
    Label,
    Review,
    check_judgement,
    report_reviewed,
)
from support.events import inference_completed

FINDING, NONE = "finding_present", "finding_absent"
BEYOND = Region.model_validate(
    {"frame_number": 1, "outline": {"shape": "ellipse", "center": (500, 500), "radii": (20, 5)}}
)


def report(**changes: Any) -> Report:
    return report_from_result("acme", inference_completed(**changes).data, created_at=datetime.now(UTC))


def judgement(verdict: str, label: str, note: str | None = None, region: Region | None = None) -> Judgement:
    return Judgement(Verdict(verdict), Label(label), note, region)


@pytest.mark.parametrize(
    ("positive", "verdict", "label"),
    [
        (True, "agree", FINDING),
        (False, "agree", NONE),
        (True, "disagree", NONE),
        (False, "disagree", FINDING),
        (True, "disagree", "other_finding"),
        (True, "unsure", FINDING),
        (True, "unsure", "not_assessable"),
    ],
)
def test_a_judgement_that_says_what_its_verdict_says_is_taken(*, positive: bool, verdict: str, label: str) -> None:
    check_judgement(judgement(verdict, label), report(positive=positive))


@pytest.mark.parametrize(
    ("positive", "verdict", "label"),
    [(True, "agree", NONE), (False, "agree", FINDING), (True, "disagree", FINDING), (False, "disagree", NONE)],
)
def test_a_label_against_its_verdict_is_refused(*, positive: bool, verdict: str, label: str) -> None:
    with pytest.raises(ImpossibleReview) as refused:
        check_judgement(judgement(verdict, label), report(positive=positive))
    assert refused.value.code == "contradictory_review"


def test_a_note_that_no_database_can_keep_is_refused() -> None:
    with pytest.raises(ImpossibleReview, match="unstorable_note"):
        check_judgement(judgement("agree", FINDING, note="a\0b"), report())


def test_a_region_beyond_the_image_or_of_an_image_of_unknown_size_is_refused() -> None:
    marked = judgement("agree", FINDING, region=BEYOND)
    with pytest.raises(ImpossibleReview, match="region_outside_image"):
        check_judgement(marked, report())
    with pytest.raises(ImpossibleReview, match="no_image_size"):
        check_judgement(marked, replace(report(), picture=None))


def test_what_others_are_told_holds_neither_note_nor_region_nor_dicom_identifier() -> None:
    made = report()
    said = judgement("agree", FINDING, note="as discussed with the ward")
    first = Review("acme", made.report_id, "dr-a", 1, said, "dr-b", datetime.now(UTC))
    told = report_reviewed(made, first, None)
    text = told.model_dump_json()
    assert "ward" not in text
    assert made.study_instance_uid not in text
    assert (told.verdict, told.previous_verdict, told.review_version) == ("agree", None, 1)
    second = replace(first, version=2, judgement=judgement("unsure", "not_assessable"))
    assert report_reviewed(made, second, first).previous_verdict == "agree"


REPORT = UUID("6f1d3c2e-4b7a-5c1e-9a55-0d7d1f3b2a10")
OTHER = UUID("2ddeed5d-9b6d-4551-bff0-e4f3cf42e0ae")


@pytest.mark.parametrize("field", [tag_of(REPORT, 2), f'"other", {tag_of(REPORT, 2)}', " * "])
def test_a_tag_of_this_state_is_current(field: str) -> None:
    assert is_current(field, REPORT, 2)


@pytest.mark.parametrize("field", [tag_of(REPORT, 1), tag_of(OTHER, 2), f"W/{tag_of(REPORT, 2)}", "", "2"])
def test_any_other_tag_is_not(field: str) -> None:
    assert not is_current(field, REPORT, 2)


def test_the_star_asks_that_there_be_a_review() -> None:
    assert not is_current("*", REPORT, 0)
