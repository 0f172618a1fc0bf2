import zipfile
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from radrelay_local.client.answers import (
    Accepted,
    Batch,
    BatchFile,
    BatchState,
    Counts,
    DashboardSummary,
    Receipt,
    Rejected,
    Report,
    UrgencyCounts,
)
from radrelay_local.demo.samples import Parcel
from radrelay_local.demo.summary import (
    DashboardCheck,
    Delivered,
    Expected,
    IsolationCheck,
    Summary,
    expected_growth,
    files_sent,
)
from radrelay_local.people import ADA, BEN
from radrelay_shared.events import ModelRef, Urgency

MODEL = ModelRef(name="m", version="1", digest="sha256:" + "0" * 64, label="untrained", intended_use="demonstration")


def a_report(instance_id: UUID, *, urgency: Urgency = Urgency.ROUTINE, confidence: float = 0.8) -> Report:
    return Report(
        report_id=uuid4(),
        instance_id=instance_id,
        batch_id=uuid4(),
        modality="CT",
        body_part="HEAD",
        finding="haemorrhage",
        positive=urgency is not Urgency.ROUTINE,
        probability=confidence,
        confidence=confidence,
        urgency=urgency,
        model=MODEL,
        notice="Not for clinical use.",
        received_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
def delivered(tmp_path: Path) -> Delivered:
    """Four files sent: two reported (one of them known before), one failed, one refused."""
    paths = tuple(tmp_path / f"{name}.dcm" for name in ("new", "known", "odd", "text"))
    for path in paths:
        path.write_bytes(b"1234")
    new, known, odd = uuid4(), uuid4(), uuid4()
    receipt = Receipt(
        accepted=[
            Accepted(name="new.dcm", instance_id=new),
            Accepted(name="known.dcm", instance_id=known, repeated=True),
            Accepted(name="odd.dcm", instance_id=odd),
        ],
        rejected=[Rejected(name="text.dcm", reason="not_dicom", detail="no prefix")],
    )
    counts = Counts(received=4, queued=0, processing=0, reported=2, failed=1, rejected=1)
    batch = Batch(batch_id=uuid4(), label="b", priority=Urgency.ROUTINE, state=BatchState.DONE, counts=counts)
    files = [
        BatchFile(name="new.dcm", status="reported", instance_id=new),
        BatchFile(name="known.dcm", status="reported", instance_id=known),
        BatchFile(name="odd.dcm", status="failed", reason="cannot_decode", detail="d", instance_id=odd),
        BatchFile(name="text.dcm", status="rejected", reason="not_dicom"),
    ]
    reports = [a_report(new, urgency=Urgency.STAT, confidence=0.9), a_report(known)]
    return Delivered(Parcel("parcel", ADA, Urgency.ROUTINE, tmp_path, paths), receipt, batch, files, reports, 2.0)


def dashboard(total: int, positive: int, failed: int, stat: int, average: float | None) -> DashboardSummary:
    return DashboardSummary(
        scope="own",
        total_cases=total,
        positive_cases=positive,
        positivity_rate=positive / total if total else None,
        average_confidence=average,
        failed_cases=failed,
        by_urgency=UrgencyCounts(stat=stat, urgent=0, routine=total - stat),
    )


def changed(delivered: Delivered, **counts: int) -> Delivered:
    batch = delivered.batch.model_copy(update={"counts": delivered.batch.counts.model_copy(update=counts)})
    return Delivered(delivered.parcel, delivered.receipt, batch, delivered.files, delivered.reports, delivered.seconds)


def test_a_batch_that_adds_up_has_no_problems_and_tells_its_figures(delivered: Delivered) -> None:
    assert delivered.problems() == []
    figures = delivered.to_json()
    assert (figures["files_sent"], figures["accepted"], figures["repeated"], figures["reports"]) == (4, 3, 1, 2)
    assert figures["rejected"] == [{"name": "text.dcm", "reason": "not_dicom", "detail": "no prefix"}]
    assert figures["failures"] == [{"name": "odd.dcm", "reason": "cannot_decode", "detail": "d"}]
    assert figures["by_urgency"] == {"stat": 1, "urgent": 0, "routine": 1}
    assert (figures["seconds"], figures["cases_per_second"]) == (2.0, 1.5)


def test_a_lost_image_is_a_problem(delivered: Delivered) -> None:
    assert "3 accepted, 1 reported and 1 failed" in changed(delivered, reported=1).problems()[0]


def test_an_unanswered_file_is_a_problem(delivered: Delivered) -> None:
    receipt = Receipt(accepted=delivered.receipt.accepted, rejected=[])
    parts = (delivered.batch, delivered.files, delivered.reports, delivered.seconds)
    problems = Delivered(delivered.parcel, receipt, *parts).problems()
    assert "4 files sent, 3 answered" in problems[0]
    assert "0 refused, the batch counts 1" in problems[1]


def test_a_reported_image_without_its_report_is_a_problem(delivered: Delivered) -> None:
    parts = (delivered.parcel, delivered.receipt, delivered.batch, delivered.files)
    assert "1 reported images have no report" in Delivered(*parts, delivered.reports[:1], 1.0).problems()[0]


def test_only_new_images_are_expected_on_the_dashboard(delivered: Delivered) -> None:
    expected = expected_growth([delivered])
    assert (expected.total_cases, expected.positive_cases, expected.failed_cases) == (1, 1, 1)
    assert expected.by_urgency == {"stat": 1, "urgent": 0, "routine": 0}
    assert expected.confidence_sum == pytest.approx(0.9)
    assert expected_growth([delivered, delivered]) == expected  # the same image in two batches is one case


def test_a_dashboard_that_grew_by_what_was_sent_agrees(delivered: Delivered) -> None:
    before, after = dashboard(3, 1, 2, 1, 0.7), dashboard(4, 2, 3, 2, (3 * 0.7 + 0.9) / 4)
    assert DashboardCheck(ADA, "own", before, after, expected_growth([delivered])).problems() == []


@pytest.mark.parametrize(
    ("after", "word"),
    [
        (dashboard(1, 1, 1, 1, 0.9), "total_cases grew by 1, expected 2"),
        (dashboard(2, 2, 1, 1, 0.85), "positive_cases grew by 2, expected 1"),
        (dashboard(2, 1, 0, 1, 0.85), "failed_cases grew by 0, expected 1"),
        (dashboard(2, 1, 1, 2, 0.85), "by_urgency grew by"),
        (dashboard(2, 1, 1, 1, 0.5), "average confidence is 0.5, expected 0.8500"),
    ],
)
def test_every_wrong_figure_is_named(after: DashboardSummary, word: str) -> None:
    expected = Expected(2, 1, 1, {"stat": 1, "urgent": 0, "routine": 1}, 1.7)
    problems = DashboardCheck(ADA, "own", dashboard(0, 0, 0, 0, None), after, expected).problems()
    assert any(word in problem for problem in problems), problems


def test_anything_but_404_breaks_isolation() -> None:
    assert IsolationCheck(BEN, "a report", 404).problems() == []
    for status in (200, 403, None):
        assert f"got {status}" in IsolationCheck(BEN, "a report", status).problems()[0]


def test_one_problem_anywhere_is_a_problem_of_the_run(delivered: Delivered) -> None:
    summary = Summary(delivered=[delivered], isolation=[IsolationCheck(BEN, "a report", 404)])
    assert summary.to_json()["equals_what_was_sent"] is True
    summary.isolation.append(IsolationCheck(BEN, "a report", 200))
    assert summary.to_json()["equals_what_was_sent"] is False
    assert summary.to_json()["models"][0]["label"] == "untrained"


def test_an_archive_counts_as_its_entries_unless_it_was_refused_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "heads.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("folder")
        archive.writestr("folder/a.dcm", b"1")
        archive.writestr("b.dcm", b"2")
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"PK\x05\x06 cut")
    parcel = Parcel("own", ADA, Urgency.ROUTINE, tmp_path, (path, broken))
    assert files_sent(parcel, Receipt(accepted=[], rejected=[])) == 3
    whole = Rejected(name="heads.zip", reason="archive_bomb", detail="d")
    assert files_sent(parcel, Receipt(accepted=[], rejected=[whole])) == 2
