"""The command as a process: what a terminal sends to it."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import psutil

from support.consuming import eventually


async def test_ctrl_c_ends_it_with_a_line_that_says_how_to_go_on(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "radrelay_training", "--work", str(tmp_path))
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT, start_new_session=True)
    await eventually(lambda: _all_draw(process.pid), enough_s=90.0)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = await process.communicate()
    assert process.returncode == 128 + signal.SIGINT
    assert said.decode().splitlines()[-1] == "Stopped. The same command goes on after the last whole epoch."
    assert b"Traceback" not in said


def _all_draw(pid: int) -> bool:
    """Whether every process that draws phantoms is there, and leaves Ctrl-C to the first."""
    drawing = psutil.Process(pid).children()
    return len(drawing) == os.cpu_count() and all(_ignores_ctrl_c(each.pid) for each in drawing)


def _ignores_ctrl_c(pid: int) -> bool:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(fields["SigIgn"], 16) & 1 << (signal.SIGINT - 1))
