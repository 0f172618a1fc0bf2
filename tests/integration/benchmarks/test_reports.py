"""The benchmark of the report service runs and writes what it measured; no timing is judged here."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.results import Results

ROOT = Path(__file__).parents[3]
READING: dict[str, float | None] = {
    "The worklist's first page for a clinician": 1.5,
    "The worklist's first page for an administrator": 1.5,
    "A report by id for a clinician": 1.5,
    "A report by id for an administrator": 1.5,
}
PERSISTING: dict[str, float | None] = {
    "Reports persisted by the worker against bare inserts, one tenant": 0.25,
    "Reports persisted and announced by the worker against bare inserts, one tenant": None,
    "Reports persisted by the worker against bare inserts, 8 tenants": 0.25,
    "Reports persisted and announced by the worker against bare inserts, 8 tenants": None,
    "Reports persisted by the worker against bare inserts over 8 connections, 8 tenants": None,
}


@pytest.mark.timeout(300)  # the report service starts twice for it
def test_every_figure_is_measured_and_reported(tmp_path: Path) -> None:
    output = tmp_path / "results" / "reports.json"
    command = [sys.executable, "-m", "benchmarks.reports", "--quick", "--output", str(output)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    runs = Results.model_validate_json(output.read_text()).runs
    report = (tmp_path / "RESULTS.md").read_text()
    for run, expected in zip(runs, (PERSISTING, READING), strict=True):
        targets = {figure.what: figure.at_most or figure.at_least for figure in run.figures}
        assert len(targets) == len(expected)
        for what, target in expected.items():
            assert [limit for name, limit in targets.items() if name.startswith(what)] == [target]
        assert all(table.rows for table in run.tables)
        assert all(figure.what in report for figure in run.figures)
