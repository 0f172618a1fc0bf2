"""The report says what the results say."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.report import render, write_report
from benchmarks.results import Figure, Machine, Results, Run, Spread, Table


def results(*figures: Figure) -> Results:
    machine = Machine(cpu="Some CPU", cores=2, memory_gib=8, gpu=None, system="Linux", libraries={"torch": "2"})
    table = Table(title="By batch size", columns=("images", "images/s"), rows=(("8", 31.25),))
    return Results(
        benchmark="inference",
        command="python -m benchmarks.inference",
        commit="0123456789ab",
        started_at=datetime(2026, 3, 14, 9, 30, tzinfo=UTC),
        finished_at=datetime(2026, 3, 14, 9, 40, tzinfo=UTC),
        load_average=0.25,
        machine=machine,
        runs=(Run(setting="On cpu: openvino", subject="a model", figures=figures, tables=(table,)),),
        skipped=("on a GPU: there is none",),
    )


@pytest.mark.parametrize(
    ("limits", "met"),
    [
        ({"at_most": 2.0}, True),
        ({"at_most": 1.9}, False),
        ({"at_least": 2.0}, True),
        ({"at_least": 2.1}, False),
        ({}, None),
    ],
)
def test_a_target_is_held_against_the_median(limits: dict[str, float], *, met: bool | None) -> None:
    figure = Figure(what="cost", unit="ratio", value=Spread.of([1.0, 2.0, 9.0]), **limits)
    assert figure.met is met


def test_every_figure_table_and_omission_is_in_the_report() -> None:
    figures = (
        Figure(what="cost", unit="ratio", value=Spread.of([1.0, 2.0, 9.0]), at_most=1.5),
        Figure(what="speed", unit="images/s", value=Spread.of([30.0]), at_least=20.0),
        Figure(what="memory", unit="MiB", value=Spread.of([300.0])),
    )
    lines = render([results(*figures)]).splitlines()
    assert "| cost | 2 | 1 | 9 | 3 | at most 1.5 | **no** |" in lines
    assert "| speed (images/s) | 30 | 30 | 30 | 1 | at least 20 images/s | yes |" in lines
    assert "| memory (MiB) | 300 | 300 | 300 | 1 |  |  |" in lines
    assert "| 8 | 31.25 |" in lines
    assert "- Not measured: on a GPU: there is none" in lines
    assert "- Machine: Some CPU, 2 cores, 8 GiB, GPU: none" in lines


def test_saved_results_are_read_back_into_one_report(tmp_path: Path) -> None:
    figure = Figure(what="cost", unit="ratio", value=Spread.of([1.0]))
    for name in ("inference", "another"):
        found = results(figure).model_copy(update={"benchmark": name})
        found.save(tmp_path / "results" / f"{name}.json")
    report = write_report(tmp_path / "results")
    assert report == tmp_path / "RESULTS.md"
    headings = [line for line in report.read_text().splitlines() if line.startswith("## ")]
    assert [heading.split(",")[0] for heading in headings] == ["## another", "## inference"]
