"""What is known of a resumable upload, without any store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from ingest_service.domain.resumable import InvalidMetadata, ResumableUpload, parse_metadata

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UPLOAD = ResumableUpload(
    tenant="north",
    upload_id=uuid4(),
    owner_id="dr-a",
    batch_id=uuid4(),
    metadata=None,
    length_bytes=10,
    offset_bytes=4,
    parts=1,
    expires_at=NOW + timedelta(hours=1),
)
LATER = NOW + timedelta(hours=2)


def test_metadata_are_keys_and_base64_values() -> None:
    assert parse_metadata("filename bmlnaHQuemlw,filetype  YS9i , is_confidential") == {
        "filename": "night.zip",
        "filetype": "a/b",
        "is_confidential": "",
    }
    assert parse_metadata("") == {}


@pytest.mark.parametrize("header", ["filename %%%", "a YQ==,a YQ==", "näme YQ==", "filename " + "QUFB" * 2000])
def test_other_metadata_are_refused(header: str) -> None:
    with pytest.raises(InvalidMetadata):
        parse_metadata(header)


def test_the_name_of_a_file_is_fit_to_show() -> None:
    assert (
        replace(UPLOAD, metadata="filename YQBiCmM=").file_name
        == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"
    )
    assert replace(UPLOAD, metadata="filetype YQ==").file_name == "unnamed"
    assert UPLOAD.file_name == "unnamed"


def test_an_upload_is_gone_when_its_time_has_passed_unless_it_waits_to_be_taken_in() -> None:
    whole = replace(UPLOAD, offset_bytes=10)
    assert not UPLOAD.is_gone(NOW)
    assert UPLOAD.is_gone(LATER)
    assert not whole.is_gone(LATER)
    assert replace(whole, ended_at=NOW).is_gone(LATER)
