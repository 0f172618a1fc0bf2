"""The benchmark of the dashboard service runs and writes what it measured; no timing is judged here."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.results import Results

ROOT = Path(__file__).parents[3]
TARGETS = {
    "Summary of 30 days": 1.3,
    "Summary of 700 days": 1.3,
    "Trend of a year by day": 1.3,
    "Trend of 30 days by hour": 1.3,
    "Histogram of a year": 1.3,
    "From event to dashboard, 95th percentile": 200.0,
}


@pytest.mark.timeout(300)  # the whole of the dashboard service starts for it
def test_every_figure_is_measured_and_reported(tmp_path: Path) -> None:
    output = tmp_path / "results" / "dashboard.json"
    command = [sys.executable, "-m", "benchmarks.dashboard", "--quick", "--output", str(output)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    (run,) = Results.model_validate_json(output.read_text()).runs
    targets = {figure.what: figure.at_most for figure in run.figures}
    for what, target in TARGETS.items():
        assert [limit for name, limit in targets.items() if name.startswith(what)] == [target]
    assert all(table.rows for table in run.tables)
    report = (tmp_path / "RESULTS.md").read_text()
    assert all(figure.what in report for figure in run.figures)
