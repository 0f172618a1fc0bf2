"""States, names, identity and reason codes."""

import pickle
import re
from datetime import UTC, datetime

import pytest

from ingest_service.domain.identity import SopReference, instance_id_of
from ingest_service.domain.lifecycle import ALLOWED_FROM, BatchState, Counts, FileStatus, batch_state
from ingest_service.domain.names import display_name
from ingest_service.domain.reasons import Refusal, RejectReason

NOW = datetime(2026, 3, 14, 9, 30, 15, 123456, tzinfo=UTC)


def test_a_batch_receives_until_closed_and_is_done_when_every_file_has_its_end() -> None:
    assert batch_state(None, Counts(reported=3)) is BatchState.RECEIVING
    assert batch_state(NOW, Counts(queued=1, reported=3)) is BatchState.PROCESSING
    assert batch_state(NOW, Counts(processing=1)) is BatchState.PROCESSING
    assert batch_state(NOW, Counts(reported=1, failed=1, cancelled=1, rejected=1)) is BatchState.DONE
    assert batch_state(NOW, Counts()) is BatchState.DONE


def test_received_is_the_sum_of_all_ends() -> None:
    assert Counts(queued=1, processing=2, reported=3, failed=4, cancelled=5, rejected=6).received == 21


def test_a_report_wins_over_everything_and_nothing_follows_it() -> None:
    others = {FileStatus.QUEUED, FileStatus.PROCESSING, FileStatus.FAILED, FileStatus.CANCELLED}
    assert ALLOWED_FROM[FileStatus.REPORTED] == others
    assert all(FileStatus.REPORTED not in origins for origins in ALLOWED_FROM.values())


def test_a_late_start_downgrades_nothing() -> None:
    assert ALLOWED_FROM[FileStatus.PROCESSING] == {FileStatus.QUEUED}


def test_what_failed_or_was_cancelled_may_be_queued_again_and_only_what_waits_be_cancelled() -> None:
    assert ALLOWED_FROM[FileStatus.QUEUED] == {FileStatus.FAILED, FileStatus.CANCELLED}
    assert ALLOWED_FROM[FileStatus.CANCELLED] == {FileStatus.QUEUED}


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a.dcm", "a.dcm"),
        ("  spaced.dcm ", "spaced.dcm"),
        ("", "unnamed"),
        ("\x00\x1f", "\ufffd\ufffd"),
        ("lone\ud800.dcm", "lone\ufffd.dcm"),
        ("x" * 300 + ".dcm", "x" * 251 + ".dcm"),
    ],
)
def test_a_name_is_made_fit_to_store_and_show(raw: str, shown: str) -> None:
    assert display_name(raw) == shown
    assert shown.encode()


def test_the_same_bytes_are_one_image_for_one_owner_only() -> None:
    same = instance_id_of("north", "ada", "ab" * 32)
    assert same == instance_id_of("north", "ada", "ab" * 32)
    others = {
        instance_id_of("south", "ada", "ab" * 32),
        instance_id_of("north", "ben", "ab" * 32),
        instance_id_of("north", "ada", "cd" * 32),
        instance_id_of("northa", "da", "ab" * 32),
    }
    assert same not in others
    assert len(others) == 4


@pytest.mark.parametrize("reason", RejectReason)
def test_every_reason_is_a_stable_code_with_one_sentence(reason: RejectReason) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{1,63}", reason.value)
    assert re.fullmatch(r"[A-Z].*[^.]\.", reason.sentence)
    assert RejectReason(reason.value) is reason  # type: ignore[call-arg]  # a look-up by value, not a new member


def test_a_refusal_survives_the_way_out_of_its_process() -> None:
    original = Refusal(RejectReason.TRUNCATED, "the file ends")
    original.sop = SopReference("1.2", "1.2.3")
    refusal = pickle.loads(pickle.dumps(original))
    assert (refusal.reason, refusal.detail, refusal.sop) == (original.reason, original.detail, original.sop)
