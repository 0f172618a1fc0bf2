from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard_service.consumer import handler_of
from dashboard_service.domain.counting import Case, Erasure, Failure, Uncountable, change_of, fingerprint
from radrelay_shared.events import Event, Verdict
from radrelay_shared.messaging import Delivery, Durable, Poison, durables
from support.events import UNTRAINED, inference_failed, report_created, report_erased, report_reviewed


def case_of(event: Event[Any]) -> Case:
    change = change_of("acme", event.data)
    assert isinstance(change, Case)
    return change


@given(st.floats(0.5, 1.0))
def test_the_confidence_is_the_decimal_that_the_event_said(confidence: float) -> None:
    event = report_created(positive=True, probability=confidence, confidence=confidence)
    case = case_of(event)
    assert float(case.confidence) == confidence
    assert f'"confidence":{case.confidence}' in event.to_json().decode()


def test_a_case_carries_the_label_of_its_model() -> None:
    case = case_of(report_created())
    assert (case.model_label, case.confidence) == ("untrained", Decimal("0.84"))


def test_a_review_says_all_that_its_report_said_but_the_priority() -> None:
    created = report_created()
    reviewed = case_of(report_reviewed(created, verdict=Verdict.UNSURE, review_version=3))
    assert (reviewed.review_version, reviewed.verdict, reviewed.priority) == (3, Verdict.UNSURE, None)
    same = {name for name in Case.__slots__ if getattr(reviewed, name) == getattr(case_of(created), name)}
    assert set(Case.__slots__) - same == {"review_version", "verdict", "priority"}


def test_an_erasure_knows_the_report_and_its_image_by_the_fingerprints_of_the_case() -> None:
    created = report_created()
    case, erased = case_of(created), report_erased(created).data
    assert change_of("acme", erased) == Erasure("acme", case.report, case.image, erased.erased_at)


def test_a_fingerprint_tells_tenants_apart_and_is_not_the_identifier() -> None:
    identifier = uuid4()
    prints = {identifier, fingerprint("acme", identifier), fingerprint("north", identifier)}
    assert len(prints) == 3
    assert fingerprint("acme", identifier) in prints


def test_a_failure_carries_what_tells_the_last_one() -> None:
    failure = change_of("acme", inference_failed(submission=4).data)
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.submission) == ("undecodable_pixels", 4)


@pytest.mark.parametrize("field", ["owner_id", "modality"])
def test_text_that_no_database_can_keep_is_uncountable(field: str) -> None:
    with pytest.raises(Uncountable, match=f"unstorable_text: {field}"):
        change_of("acme", report_created(**{field: "a\0b"}).data)


def test_a_label_that_no_database_can_keep_is_uncountable() -> None:
    model = UNTRAINED.model_copy(update={"label": "\0"})
    with pytest.raises(Uncountable, match=r"unstorable_text: model\.label"):
        change_of("acme", report_created(model=model).data)


def test_a_failure_of_an_owner_that_no_database_can_keep_is_uncountable() -> None:
    with pytest.raises(Uncountable, match="unstorable_text: owner_id"):
        change_of("acme", inference_failed(owner_id="\0").data)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00+14:00", "0001-01-20T00:00+00:00", "9999-12-31T23:59-14:00"])
def test_a_time_without_a_local_month_is_uncountable(moment: str) -> None:
    data = report_created().data.model_copy(update={"received_at": datetime.fromisoformat(moment)})
    with pytest.raises(Uncountable, match="impossible_time: received_at"):
        change_of("acme", data)


class _Untouched:
    """A store that a refused event must not reach."""

    def transaction(self, scope: Any) -> Any:
        raise AssertionError(f"transaction under {scope}")


@pytest.mark.parametrize(
    ("durable", "event", "reason"),
    [
        (durables.DASHBOARD_REPORTS, report_created(owner_id="\0"), "unstorable_text"),
        (durables.DASHBOARD_REPORTS, inference_failed(), "unexpected_event"),
        (durables.DASHBOARD_FAILURES, inference_failed(owner_id="\0"), "unstorable_text"),
        (durables.DASHBOARD_FAILURES, report_created(), "unexpected_event"),
    ],
)
async def test_what_cannot_be_counted_is_poison(durable: Durable, event: Event[Any], reason: str) -> None:
    with pytest.raises(Poison) as caught:
        await handler_of(durable, _Untouched())(Delivery(event, "subject", attempt=1))
    assert caught.value.reason == reason
