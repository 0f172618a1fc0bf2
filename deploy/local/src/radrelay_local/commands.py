"""Commands that run to their end."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from radrelay_local.errors import StackError

_SHOWN_CHARACTERS = 3000


def run(command: Sequence[str]) -> None:
    """Run a command whose output matters only when it fails.

    Raises:
        StackError: it failed; the message has the end of its output.
    """
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode:
        raise StackError(_failure(command, result.returncode, result.stdout))


def run_attached(command: Sequence[str], *, env: Mapping[str, str]) -> int:
    """Run a command that speaks to whoever runs ours, and return its exit status. `env` is added to our own."""
    return subprocess.run(command, env={**os.environ, **env}, check=False).returncode


def run_logged(command: Sequence[str], *, env: Mapping[str, str], log: Path) -> None:
    """Run a command and add its output to `log`. `env` is added to our own environment.

    Raises:
        StackError: it failed; the message has the end of its output.
    """
    with log.open("ab") as file:
        start = file.tell()
        result = subprocess.run(
            command,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if result.returncode:
        with log.open("rb") as file:
            file.seek(start)
            raise StackError(_failure(command, result.returncode, file.read().decode("utf-8", "replace")))


def _failure(command: Sequence[str], status: int, output: str) -> str:
    return f"{' '.join(command[:3])} ... failed with status {status}:\n{output[-_SHOWN_CHARACTERS:]}"
