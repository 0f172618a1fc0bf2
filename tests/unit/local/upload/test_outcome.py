import json
from io import StringIO
from uuid import UUID, uuid4

import pytest
from rich.console import Console

from radrelay_local.client.answers import Batch, BatchFile, BatchState, Counts
from radrelay_local.upload.outcome import ExitStatus, Outcome, Reports, Shipment
from radrelay_local.upload.screen import Screen
from radrelay_local.upload.walking import Skipped, SkipReason
from radrelay_shared.events import Urgency

BATCH_ID = UUID("00000000-0000-4000-8000-000000000001")


def batch(state: BatchState = BatchState.DONE, **counts: int) -> Batch:
    every = {"queued": 0, "processing": 0, "reported": 0, "failed": 0, "rejected": 0} | counts
    return Batch(
        batch_id=BATCH_ID,
        label="night [bold]shift",
        priority=Urgency.STAT,
        state=state,
        counts=Counts(received=sum(every.values()), **every),
    )


def refused(count: int, status: str = "rejected", reason: str = "not_dicom") -> list[BatchFile]:
    return [
        BatchFile(name=f"{status}-{number:02d}.dcm", status=status, reason=reason, detail="why", instance_id=uuid4())
        for number in range(count)
    ]


UNREADABLE = Skipped("study/1.dcm", SkipReason.UNREADABLE, "permission denied")
EMPTY = Skipped("study/empty", SkipReason.EMPTY_FOLDER, "nothing in it")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(batch(reported=3)), ExitStatus.ALL_REPORTED),
        (Outcome(batch(reported=3), skipped=[EMPTY]), ExitStatus.ALL_REPORTED),
        (Outcome(batch(reported=3), skipped=[UNREADABLE]), ExitStatus.NOT_ALL_REPORTED),
        (Outcome(batch(reported=3, rejected=1)), ExitStatus.NOT_ALL_REPORTED),
        (Outcome(batch(reported=3, failed=1)), ExitStatus.NOT_ALL_REPORTED),
        (Outcome(batch(BatchState.PROCESSING, queued=1)), ExitStatus.UNFINISHED),
        (Outcome(batch(BatchState.RECEIVING, reported=1)), ExitStatus.UNFINISHED),
        (Outcome(batch(BatchState.PROCESSING, queued=1, rejected=1)), ExitStatus.NOT_ALL_REPORTED),
        (Outcome(batch(reported=3), interrupted=True), ExitStatus.UNFINISHED),
        (Outcome(batch(reported=3, rejected=1), error="no answer"), ExitStatus.ERROR),
    ],
)
def test_the_exit_status_says_how_it_went(outcome: Outcome, status: ExitStatus) -> None:
    assert outcome.exit_status() is status


def whole_outcome() -> Outcome:
    return Outcome(
        batch(reported=4, failed=1, rejected=22),
        files=[*refused(20), *refused(2, reason="truncated"), *refused(1, "failed", "outside_intended_use")],
        shipment=Shipment(files=27, sent_files=26, size_bytes=1000, sent_bytes=1000, repeated=2),
        skipped=[EMPTY],
        reports=Reports({"stat": 1, "urgent": 0, "routine": 2}, in_earlier_batches=1),
        seconds=1.23456,
    )


def test_the_json_document_tells_all() -> None:
    document = json.loads(json.dumps(whole_outcome().to_json()))
    assert document["batch_id"] == str(BATCH_ID)
    assert (document["state"], document["priority"], document["exit_status"]) == ("done", "stat", 2)
    assert document["counts"]["received"] == 27
    assert (document["accepted"], document["repeated"]) == (5, 2)
    assert document["rejected_by_reason"] == {"not_dicom": 20, "truncated": 2}
    assert document["failed_by_reason"] == {"outside_intended_use": 1}
    assert len(document["rejected"]) == 22
    assert document["failed"] == [{"name": "failed-00.dcm", "reason": "outside_intended_use", "detail": "why"}]
    assert document["skipped"] == [{"name": "study/empty", "reason": "empty_folder", "detail": "nothing in it"}]
    assert document["reports"] == {"by_urgency": {"stat": 1, "urgent": 0, "routine": 2}, "in_earlier_batches": 1}
    assert document["sent"] == {"files": 27, "sent_files": 26, "size_bytes": 1000, "sent_bytes": 1000, "repeated": 2}
    assert (document["error"], document["interrupted"], document["seconds"]) == (None, False, 1.235)


def test_of_a_batch_that_was_only_watched_the_document_leaves_open_what_nobody_knows() -> None:
    document = Outcome(batch(reported=1)).to_json()
    assert [document[name] for name in ("sent", "repeated", "reports")] == [None, None, None]


def test_the_summary_counts_everything_and_names_the_first_twenty() -> None:
    output = StringIO()
    Screen(out=Console(file=output, width=100, highlight=False)).summary(whole_outcome())
    shown = output.getvalue()
    rows = {" ".join(words[:-1]): words[-1] for line in shown.splitlines() if (words := line.split())}
    expected = {"accepted": "5", "of them here before": "2", "rejected": "22", "truncated": "2", "stat": "1"}
    expected |= {"failed": "1", "outside_intended_use": "1", "reported": "4", "in earlier batches": "1"}
    assert rows.items() >= expected.items()
    assert "night [bold]shift" in shown
    assert shown.count("rejected rejected-") == 20
    assert "and 2 more rejected" in shown
    assert "not sent study/empty: empty_folder" in shown


def test_without_a_terminal_progress_is_lines() -> None:
    output = StringIO()
    screen = Screen(progress=Console(file=output, width=80))
    with screen:
        for sent_bytes in (0, 500_000, 1_000_000, 1_000_000):
            screen.sending(sent_bytes, 1_000_000)
        screen.processing(batch(BatchState.PROCESSING, reported=1, queued=3, rejected=2))
        screen.processing(batch(rejected=1))
    assert output.getvalue().splitlines() == [
        "sending: 0% (0.0 of 1.0 MB)",
        "sending: 50% (0.5 of 1.0 MB)",
        "sending: 100% (1.0 of 1.0 MB)",
        "processing: 20% (1 of 4, 0 failed, 2 rejected)",
        "processing: 100% (0 of 0, 0 failed, 1 rejected)",
    ]
