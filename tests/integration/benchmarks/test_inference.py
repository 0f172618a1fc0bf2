"""The benchmark of the inference worker runs and writes what it measured; no timing is judged here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.results import Results
from support.untrained import write_untrained

ROOT = Path(__file__).parents[3]
TARGETS = {
    "Probability and heatmap against probability alone": 1.05,
    "Whole worker against the bare runtime": 0.85,
    "Whole worker against the naive design": 14.0,
    "One stat image, event to event, against": 2.0,
    "Memory of the worker's processes": 1.05,
}
TABLES = ("Bare runtime by batch size", "Processor time of the whole worker", "Stages of an image under load")
MAY_FALL = "Growth of it"


@pytest.mark.timeout(600)  # several processes that import torch; on a busy machine that takes minutes
def test_every_figure_is_measured_and_reported(tmp_path: Path) -> None:
    bundle = write_untrained(tmp_path / "bundle", timm_name="test_efficientnet", size_px=64)
    output = tmp_path / "results" / "inference.json"
    command = [sys.executable, "-m", "benchmarks.inference", "--quick"]
    command += ["--bundle", str(bundle.directory), "--output", str(output)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    results = Results.model_validate_json(output.read_text())
    run, *others = results.runs
    assert len(others) == (1 if len(os.sched_getaffinity(0)) > 1 else 0)
    for other in others:
        assert [f.at_least for f in other.figures if f.what.startswith("Whole worker against")] == [0.85, 14.0]
    targets = {figure.what: figure.at_most or figure.at_least for figure in run.figures}
    for what, target in TARGETS.items():
        assert [limit for name, limit in targets.items() if name.startswith(what)] == [target]
    for figure in run.figures:
        assert figure.value.median > 0 or figure.what.startswith(MAY_FALL), figure
        assert figure.value.least <= figure.value.median <= figure.value.most
    for title in TABLES:
        assert any(table.title.startswith(title) and table.rows for table in run.tables)
    report = (tmp_path / "RESULTS.md").read_text()
    assert all(figure.what in report for figure in run.figures)
    assert bundle.digest[:19] in run.subject
