"""The benchmark of the ingest service runs and writes what it measured; no timing is judged here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.results import Results

ROOT = Path(__file__).parents[3]
MEMORY = {"Peak memory of the service during a ZIP": 100.0}
SPEED = {
    "Uploads of 16 files a request against bare puts": 0.5,
    "Uploads of one file a request against bare puts": 0.5,
    "From the answer to the event": 50.0,
}


@pytest.mark.timeout(300)  # the whole of the ingest service starts for it
def test_every_figure_is_measured_and_reported(tmp_path: Path) -> None:
    output = tmp_path / "results" / "ingest.json"
    command = [sys.executable, "-m", "benchmarks.ingest", "--quick", "--output", str(output)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    runs = Results.model_validate_json(output.read_text()).runs
    assert len(runs) == (2 if len(os.sched_getaffinity(0)) > 1 else 1)
    report = (tmp_path / "RESULTS.md").read_text()
    for run, expected in zip(runs, (MEMORY | SPEED, SPEED), strict=False):
        targets = {figure.what: figure.at_most or figure.at_least for figure in run.figures}
        for what, target in expected.items():
            assert [limit for name, limit in targets.items() if name.startswith(what)] == [target]
        assert all(table.rows for table in run.tables)
        assert all(figure.what in report for figure in run.figures)
