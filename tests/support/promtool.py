"""Prometheus' own tool, which checks rules and runs their unit tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What it says. Skips the test where there is none, but fails it where CI runs it."""
    beside = Path(sys.prefix) / "bin"
    program = shutil.which("promtool", path=os.pathsep.join([str(beside), os.environ.get("PATH", "")]))
    if program is None:
        reason = "promtool is not here: `make promtool` gets it on Debian"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=150, check=False)
