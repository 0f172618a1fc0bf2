"""States, names, identity, the audit chain and reason codes."""

import dataclasses
import pickle
import re
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest

from ingest_service.domain.audit import GENESIS_HASH, AuditAction, AuditFact, AuditRecord, chain, first_fault
from ingest_service.domain.identity import instance_id_of
from ingest_service.domain.lifecycle import ALLOWED_FROM, BatchState, Counts, FileStatus, batch_state
from ingest_service.domain.names import display_name
from ingest_service.domain.reasons import Refusal, RejectReason

NOW = datetime(2026, 3, 14, 9, 30, 15, 123456, tzinfo=UTC)


def test_a_batch_receives_until_closed_and_is_done_when_every_file_has_its_end() -> None:
    assert batch_state(None, Counts(reported=3)) is BatchState.RECEIVING
    assert batch_state(NOW, Counts(queued=1, reported=3)) is BatchState.PROCESSING
    assert batch_state(NOW, Counts(processing=1)) is BatchState.PROCESSING
    assert batch_state(NOW, Counts(reported=1, failed=1, rejected=1)) is BatchState.DONE
    assert batch_state(NOW, Counts()) is BatchState.DONE


def test_received_is_the_sum_of_all_ends() -> None:
    assert Counts(queued=1, processing=2, reported=3, failed=4, rejected=5).received == 15


def test_a_report_wins_over_everything_and_nothing_follows_it() -> None:
    assert ALLOWED_FROM[FileStatus.REPORTED] == {FileStatus.QUEUED, FileStatus.PROCESSING, FileStatus.FAILED}
    assert all(FileStatus.REPORTED not in origins for origins in ALLOWED_FROM.values())


def test_a_late_start_downgrades_nothing() -> None:
    assert ALLOWED_FROM[FileStatus.PROCESSING] == {FileStatus.QUEUED}


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


def chain_of(length: int) -> list[AuditRecord]:
    records: list[AuditRecord] = []
    for number in range(length):
        fact = AuditFact("north", "ada", AuditAction.FILE_ACCEPTED, NOW + timedelta(seconds=number), uuid4(), uuid4())
        records.append(chain(fact, records[-1] if records else None))
    return records


def test_an_untouched_chain_holds() -> None:
    records = chain_of(5)
    assert first_fault(records) is None
    assert first_fault([]) is None
    assert records[0].prev_hash == GENESIS_HASH
    assert [record.sequence for record in records] == [1, 2, 3, 4, 5]


def test_the_zone_in_which_a_time_is_read_back_changes_nothing() -> None:
    (record,) = chain_of(1)
    elsewhere = dataclasses.replace(record.fact, at=record.fact.at.astimezone(timezone(timedelta(hours=5, minutes=30))))
    assert first_fault([dataclasses.replace(record, fact=elsewhere)]) is None


@pytest.mark.parametrize(
    "change",
    [{"actor": "eve"}, {"action": AuditAction.FILE_REJECTED}, {"at": NOW}, {"instance_id": None}, {"reason": "x"}],
)
def test_an_edited_record_shows(change: dict[str, object]) -> None:
    records = chain_of(5)
    records[2] = dataclasses.replace(records[2], fact=dataclasses.replace(records[2].fact, **change))  # type: ignore[arg-type]  # one field each
    assert first_fault(records) == 3


def test_an_edited_record_with_a_new_hash_shows_at_the_next() -> None:
    records = chain_of(5)
    forged = dataclasses.replace(records[2].fact, actor="eve")
    records[2] = chain(forged, records[1])
    assert first_fault(records) == 4


def test_a_removed_a_swapped_and_a_repeated_record_show() -> None:
    records = chain_of(5)
    assert first_fault(records[:2] + records[3:]) == 3
    assert first_fault([records[0], records[2], records[1], *records[3:]]) == 2
    assert first_fault([*records[:2], records[1], *records[2:]]) == 3
    assert first_fault(records[1:]) == 1


@pytest.mark.parametrize("reason", RejectReason)
def test_every_reason_is_a_stable_code_with_one_sentence(reason: RejectReason) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{1,63}", reason.value)
    assert re.fullmatch(r"[A-Z].*[^.]\.", reason.sentence)
    assert RejectReason(reason.value) is reason  # type: ignore[call-arg]  # a look-up by value, not a new member


def test_a_refusal_survives_the_way_out_of_its_process() -> None:
    refusal = pickle.loads(pickle.dumps(Refusal(RejectReason.TRUNCATED, "the file ends")))
    assert (refusal.reason, refusal.detail) == (RejectReason.TRUNCATED, "the file ends")
