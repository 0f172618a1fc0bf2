from datetime import UTC, datetime
from io import BytesIO, StringIO
from pathlib import Path
from uuid import uuid4

import numpy as np
from PIL import Image
from rich.console import Console

from radrelay_local.client.answers import Batch, BatchState, Counts, Report
from radrelay_local.demo.overlays import PANEL, overlay_picture, save_overlay
from radrelay_local.demo.samples import Parcel
from radrelay_local.demo.scenario import by_urgency
from radrelay_local.demo.screen import Screen
from radrelay_local.people import ADA
from radrelay_shared.events import ModelRef, Urgency


def report(urgency: Urgency = Urgency.URGENT, probability: float = 0.7) -> Report:
    digest = "sha256:" + "0" * 64
    model = ModelRef(name="efficientnet_b4", version="1", digest=digest, label="untrained", intended_use="demo")
    return Report(
        report_id=uuid4(),
        instance_id=uuid4(),
        batch_id=uuid4(),
        modality="CT",
        body_part=None,
        finding="haemorrhage",
        positive=True,
        probability=probability,
        confidence=probability,
        urgency=urgency,
        model=model,
        notice="Not for clinical use.",
        received_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_the_overlay_is_the_right_panel_and_the_image_the_left() -> None:
    image = Image.new("L", (200, 100), 100)
    overlay = Image.new("RGB", (200, 100), (100, 100, 100))
    overlay.paste((255, 0, 0), (100, 0, 200, 100))
    picture = np.asarray(overlay_picture(report(), png(image), png(overlay)))
    middle = PANEL // 2
    left, right = picture[middle, :PANEL], picture[middle, -PANEL:]
    assert tuple(left[PANEL // 4]) == tuple(left[3 * PANEL // 4]) == (100, 100, 100)
    assert tuple(right[PANEL // 4]) == (100, 100, 100)
    assert tuple(right[3 * PANEL // 4]) == (255, 0, 0)


def test_the_picture_is_saved_under_its_rank_and_urgency(tmp_path: Path) -> None:
    grey = png(Image.new("L", (64, 64), 10))
    one = report()
    path = save_overlay(tmp_path, 3, one, grey, png(Image.new("RGB", (32, 32))))
    assert path.name == f"03-urgent-{one.report_id}.png"
    with Image.open(path) as saved:
        assert saved.width == 2 * PANEL + 4


def test_reports_come_most_urgent_first_then_most_probable() -> None:
    reports = [report(Urgency.ROUTINE, 0.9), report(Urgency.STAT, 0.6), report(Urgency.STAT, 0.8)]
    assert [(each.urgency, each.probability) for each in by_urgency(reports)] == [
        (Urgency.STAT, 0.8),
        (Urgency.STAT, 0.6),
        (Urgency.ROUTINE, 0.9),
    ]


def test_without_a_terminal_progress_is_lines_and_none_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"x" * 1000)
    parcel = Parcel("heads", ADA, Urgency.ROUTINE, tmp_path, (path,))
    output = StringIO()
    screen = Screen(Console(file=output, width=140))
    counts = Counts(received=4, queued=2, processing=0, reported=2, failed=0, rejected=1)
    batch = Batch(batch_id=uuid4(), label=None, priority=Urgency.ROUTINE, state=BatchState.PROCESSING, counts=counts)
    with screen:
        for sent in (0, 10, 20, 1000, 1000):
            screen.sending(parcel, sent)
        screen.processing(parcel, batch)
    lines = output.getvalue().splitlines()
    assert [line.split(":")[1].split()[0] for line in lines if line.startswith("sending")] == ["0%", "100%"]
    assert "2 reported, 0 failed, 1 refused, 2 to go" in lines[-1]


def test_reports_are_shown_with_the_models_label_and_notice() -> None:
    output = StringIO()
    Screen(Console(file=output, width=160)).reports("north/dr-ada", [report() for _ in range(20)])
    text = output.getvalue()
    assert "untrained" in text
    assert "Not for clinical use." in text
    assert "and 5 more" in text
