from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard_service.consumer import CountingConsumer
from dashboard_service.domain.counting import Uncountable, case_of, failure_of
from radrelay_shared.events import Event
from radrelay_shared.messaging import Delivery, Poison
from support.events import UNTRAINED, inference_failed, report_created


@pytest.mark.parametrize(
    ("received_at", "day"),
    [
        ("2026-03-14T23:59:59.999999+00:00", date(2026, 3, 14)),
        ("2026-03-15T00:00:00+00:00", date(2026, 3, 15)),
        ("2026-03-15T01:30:00+02:00", date(2026, 3, 14)),
        ("2026-03-14T20:00:00-05:00", date(2026, 3, 15)),
    ],
)
def test_the_day_is_that_of_the_arrival_in_utc(received_at: str, day: date) -> None:
    moment = datetime.fromisoformat(received_at)
    assert case_of("acme", report_created(received_at=moment).data).day == day
    assert failure_of("acme", inference_failed(received_at=moment).data).day == day


@given(st.floats(0.5, 1.0))
def test_the_confidence_is_the_decimal_that_the_event_said(confidence: float) -> None:
    event = report_created(positive=True, probability=confidence, confidence=confidence)
    case = case_of("acme", event.data)
    assert float(case.confidence) == confidence
    assert f'"confidence":{case.confidence}' in event.to_json().decode()


def test_a_case_carries_the_label_of_its_model() -> None:
    assert case_of("acme", report_created().data).model_label == "untrained"
    assert case_of("acme", report_created().data).confidence == Decimal("0.84")


@pytest.mark.parametrize("field", ["owner_id", "modality"])
def test_text_that_no_database_can_keep_is_uncountable(field: str) -> None:
    with pytest.raises(Uncountable, match=f"unstorable_text: {field}"):
        case_of("acme", report_created(**{field: "a\0b"}).data)


def test_a_label_that_no_database_can_keep_is_uncountable() -> None:
    model = UNTRAINED.model_copy(update={"label": "\0"})
    with pytest.raises(Uncountable, match=r"unstorable_text: model\.label"):
        case_of("acme", report_created(model=model).data)


def test_a_failure_of_an_owner_that_no_database_can_keep_is_uncountable() -> None:
    with pytest.raises(Uncountable, match="unstorable_text: owner_id"):
        failure_of("acme", inference_failed(owner_id="\0").data)


def test_a_time_outside_the_calendar_is_uncountable() -> None:
    data = report_created().data.model_copy(update={"received_at": datetime.fromisoformat("0001-01-01T00:00+14:00")})
    with pytest.raises(Uncountable, match="impossible_time: received_at"):
        case_of("acme", data)


class _Untouched:
    """A store that a refused event must not reach."""

    def transaction(self, scope: Any) -> Any:
        raise AssertionError(f"transaction under {scope}")


@pytest.mark.parametrize(
    ("event", "reason"),
    [(report_created(owner_id="\0"), "unstorable_text"), (inference_failed(), "unexpected_event")],
)
async def test_the_report_consumer_turns_what_it_cannot_count_into_poison(event: Event[Any], reason: str) -> None:
    with pytest.raises(Poison) as caught:
        await CountingConsumer(_Untouched()).handle_report(Delivery(event, "subject", attempt=1))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("event", "reason"),
    [(inference_failed(owner_id="\0"), "unstorable_text"), (report_created(), "unexpected_event")],
)
async def test_the_failure_consumer_turns_what_it_cannot_count_into_poison(event: Event[Any], reason: str) -> None:
    with pytest.raises(Poison) as caught:
        await CountingConsumer(_Untouched()).handle_failure(Delivery(event, "subject", attempt=1))
    assert caught.value.reason == reason
