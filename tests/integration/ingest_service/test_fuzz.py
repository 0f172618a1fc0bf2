"""`make fuzz` with a few hundred of its thousands of files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]


@pytest.mark.timeout(300)  # it starts servers of its own
def test_mutated_files_are_judged_by_a_service_and_decoders_that_stay_up_and_small(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fuzz", "--files", "320", "--seed", "11", "--keep", str(tmp_path)]
    ended = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    intake, decoders = ended.stdout.split("decoders:")
    assert "intake: 320 files" in intake
    assert decoders.startswith(" 320 files")
    outcomes = {outcome: int(number) for number, outcome in re.findall(r"^ +(\d+) (\w+)$", intake, re.MULTILINE)}
    assert outcomes["accepted"] > 10
    assert len(outcomes) > 5
