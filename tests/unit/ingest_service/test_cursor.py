import base64
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from ingest_service.api.schemas import aware_time, decode_cursor, encode_cursor, storable_text
from radrelay_shared.http import BadRequest


def test_a_cursor_comes_back_as_the_position_it_was_made_of() -> None:
    at, batch_id = datetime(2026, 3, 14, 9, 30, 1, 5, tzinfo=UTC), uuid4()
    assert decode_cursor(encode_cursor(at.isoformat(), str(batch_id)), aware_time, UUID) == (at, batch_id)
    assert decode_cursor(encode_cursor("Größe.dcm", "ab"), storable_text, storable_text) == ("Größe.dcm", "ab")
    assert decode_cursor(None, aware_time, UUID) is None


BATCH = "5e0a3c1e-7d0f-4b57-9c39-2a4d3f5b6c70"


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!!",
        "abc",
        "\u00e9",
        encode_cursor("today", BATCH),
        encode_cursor("2026-03-14T09:30:00", BATCH),
        encode_cursor("2026-03-14T09:30:00+00:00", "7"),
        encode_cursor("0001-01-01T00:00:00+14:00", BATCH),
        encode_cursor("9999-12-31T23:59:59-14:00", BATCH),
        base64.urlsafe_b64encode(b"[" * 1400).decode(),
        "WzEsIDJd",
        "WyJhIl0=",
        "bnVsbA==",
    ],
)
def test_anything_else_is_a_bad_request(cursor: str) -> None:
    with pytest.raises(BadRequest):
        decode_cursor(cursor, aware_time, UUID)


def test_a_cursor_with_a_nul_is_a_bad_request() -> None:
    with pytest.raises(BadRequest):
        decode_cursor(encode_cursor("a\0b", "c"), storable_text, storable_text)
