import base64
import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radrelay_shared.events import Urgency
from radrelay_shared.http import BadRequest
from report_service.api import cursor
from report_service.domain.worklist import Position

POSITIONS = st.builds(
    Position, st.sampled_from(Urgency), st.datetimes(timezones=st.just(UTC)), st.uuids(allow_nil=True)
)


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@given(POSITIONS)
def test_a_position_survives_its_cursor_which_needs_no_escaping(position: Position) -> None:
    text = cursor.encode(position)
    assert cursor.decode(text) == position
    assert text.isascii()
    assert not set(text) & set("+/=&?#% ")


@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_anything_else_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest):
        cursor.decode(text)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        "stat",
        ["stat", "2026-03-14T09:30:00+00:00"],
        ["soon", "2026-03-14T09:30:00+00:00", str(UUID(int=1))],
        ["stat", "2026-03-14T09:30:00", str(UUID(int=1))],
        ["stat", 5, str(UUID(int=1))],
        ["stat", "2026-03-14T09:30:00+00:00", 5],
        ["stat", "0001-01-01T00:00:00+14:00", str(UUID(int=1))],
        [["stat"], datetime(2026, 1, 1, tzinfo=UTC).isoformat(), str(UUID(int=1))],
    ],
)
def test_a_forged_cursor_is_a_bad_request(value: object) -> None:
    with pytest.raises(BadRequest) as caught:
        cursor.decode(encoded(value))
    assert caught.value.code == "invalid_cursor"
