import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radrelay_shared.events import Event, InferenceCompleted, Urgency, parse_event
from report_service.domain.report import (
    ImpossibleResult,
    Report,
    announcement_id,
    report_created,
    report_from_result,
    report_id_for,
)
from support.events import PROVENANCE, UNTRAINED, inference_completed

NOW = datetime(2026, 3, 14, 9, 31, tzinfo=UTC)


def report_of(event: Event[InferenceCompleted]) -> Report:
    return report_from_result(event.tenant, event.data, created_at=NOW)


IDENTITIES = st.fixed_dictionaries(
    {
        "tenant": st.text(max_size=4),
        "owner_id": st.text(max_size=4),
        "instance_id": st.uuids(),
        "model_digest": st.text(max_size=4),
    }
)


@given(IDENTITIES, IDENTITIES)
def test_two_reports_share_an_identifier_only_if_all_four_parts_are_equal(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert (report_id_for(**one) == report_id_for(**other)) == (one == other)


def test_moving_a_character_from_tenant_to_owner_gives_another_identifier() -> None:
    instance_id = UUID(int=1)
    one = report_id_for(tenant="ab", owner_id="c", instance_id=instance_id, model_digest="d")
    other = report_id_for(tenant="a", owner_id="bc", instance_id=instance_id, model_digest="d")
    assert one != other


def test_the_same_result_gives_the_same_report_and_the_same_announcement() -> None:
    event = inference_completed()
    again = parse_event(event.to_json())
    assert report_of(event) == report_of(again)
    assert announcement_id(report_of(event)) == announcement_id(report_of(again))
    assert announcement_id(report_of(event)) != announcement_id(report_of(inference_completed()))


def test_the_report_says_what_the_result_said() -> None:
    event = inference_completed()
    report = report_of(event)
    for field in set(InferenceCompleted.model_fields) - {
        "queue_wait_s",
        "model_s",
        "heatmap",
        "submission",
        "priority",
    }:
        assert getattr(report, field) == getattr(event.data, field), field
    assert (report.tenant, report.created_at) == (event.tenant, NOW)
    assert report.heatmap_npy is not None
    assert np.load(io.BytesIO(report.heatmap_npy)).tolist() == [[0.0, 0.25, 0.5], [1.0, 2.0, 0.0]]


def test_the_announcement_says_all_of_the_report_but_its_objects_and_pictures() -> None:
    report = report_of(inference_completed())
    announced = report_created(report, priority=Urgency.STAT).model_dump()
    assert announced.pop("priority") is Urgency.STAT
    kept_back = {"tenant", "source_key", "picture", "heatmap_npy", "review_state", "sealed_patient"}
    assert set(announced) == set(Report.__slots__) - kept_back
    dumped = {"model": UNTRAINED.model_dump(), "provenance": PROVENANCE.model_dump()}
    assert announced == {name: getattr(report, name) for name in announced} | dumped


@pytest.mark.parametrize(
    ("intended_use", "notice"),
    [
        ("For research. Not for clinical use.", "For research. Not for clinical use."),
        ("Triage of head CT.", "For demonstration, not for clinical use. Triage of head CT."),
        ("", "For demonstration, not for clinical use."),
    ],
)
def test_the_notice_always_says_not_for_clinical_use(intended_use: str, notice: str) -> None:
    model = UNTRAINED.model_copy(update={"intended_use": intended_use})
    assert report_of(inference_completed(model=model)).notice == notice


@pytest.mark.parametrize("key", ["globex/results/x.png", "acme-evil/x.png", "../acme/x.png", "acme"])
def test_an_object_outside_the_tenant_is_refused(key: str) -> None:
    with pytest.raises(ImpossibleResult) as caught:
        report_of(inference_completed(tenant="acme", source_key=key))
    assert caught.value.reason == "foreign_object_key"
    assert "source_key" in caught.value.detail


@pytest.mark.parametrize("field", ["owner_id", "finding", "modality", "body_part"])
def test_text_that_no_database_can_keep_is_refused(field: str) -> None:
    with pytest.raises(ImpossibleResult, match=f"unstorable_text: {field}"):
        report_of(inference_completed(**{field: "a\0b"}))


def test_model_text_that_no_database_can_keep_is_refused() -> None:
    model = UNTRAINED.model_copy(update={"label": "un\0trained"})
    with pytest.raises(ImpossibleResult, match=r"unstorable_text: model\.label"):
        report_of(inference_completed(model=model))


@pytest.mark.parametrize("field", ["received_at", "completed_at"])
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_outside_the_calendar_is_refused(field: str, moment: str) -> None:
    event = inference_completed()
    data = event.data.model_copy(update={field: datetime.fromisoformat(moment)})
    with pytest.raises(ImpossibleResult, match=f"impossible_time: {field}"):
        report_from_result(event.tenant, data, created_at=NOW)


def test_times_are_kept_in_utc() -> None:
    event = inference_completed(received_at=datetime.fromisoformat("2026-03-14T11:30:00+02:00"))
    assert report_of(event).received_at.tzinfo is UTC
    assert report_of(event).received_at == datetime(2026, 3, 14, 9, 30, tzinfo=UTC)
