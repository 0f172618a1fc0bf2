"""What the stack needs of the machine, checked before anything is started."""

import platform
import shutil
import sys
from pathlib import Path

from radrelay_local.errors import StackError
from radrelay_local.programs import PROGRAMS, postgres_program, program

PYTHON = (3, 11)
DISK_GB = 3.0
SYSTEMS = ("Linux", "Darwin")
MACHINES = ("x86_64", "amd64", "aarch64", "arm64")


def check(
    home: Path,
    *,
    python: tuple[int, ...] = sys.version_info[:3],
    system: str = platform.system(),
    machine: str = platform.machine(),
) -> None:
    """Raise StackError with everything that is missing, and what to do about each."""
    problems = []
    if python < PYTHON:
        problems.append(f"Python {_dotted(PYTHON)} or newer is needed, this is {_dotted(python)}")
    if system not in SYSTEMS or machine.lower() not in MACHINES:
        problems.append(f"{system} on {machine} is not supported: the embedded servers exist for {', '.join(SYSTEMS)}")
    existing = next(folder for folder in (home.resolve(), *home.resolve().parents) if folder.exists())
    free_gb = shutil.disk_usage(existing).free / 1e9
    if free_gb < DISK_GB:
        problems.append(f"{DISK_GB:.0f} GB of free disk are needed in {existing}, {free_gb:.1f} are left (see --home)")
    problems += _missing_programs()
    if problems:
        raise StackError("\n".join(problems))


def _missing_programs() -> list[str]:
    missing = []
    for find, name in ((postgres_program, "postgres"), *((program, name) for name in PROGRAMS)):
        try:
            find(name)
        except StackError as error:
            missing.append(str(error))
    return missing


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
