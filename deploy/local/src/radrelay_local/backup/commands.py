"""The commands `radrelay backup` and `radrelay restore`."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import nats.errors
import typer
from nats.js.errors import APIError
from rich.console import Console

from radrelay_local.backup import taking
from radrelay_local.backup.folder import Backup
from radrelay_local.backup.places import Places, elsewhere, local
from radrelay_local.errors import StackError
from radrelay_local.options import DEFAULT_HOME, HomeOption
from radrelay_local.parts import postgres
from radrelay_local.stack import Infrastructure
from radrelay_shared.messaging import PublishError
from radrelay_shared.objects import OUTAGES

FAILED: Final = 2
_DEFAULT_AGAIN_HOURS: Final = 2.0
_out = Console(highlight=False, soft_wrap=True, markup=False)
_error = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def add_to(app: typer.Typer) -> None:
    """Add both commands."""
    app.command()(backup)
    app.command()(restore)


def backup(
    folder: Annotated[Path, typer.Argument(help="Folder of backups; objects that are in it already are not copied.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Take a backup of the local stack, or of the servers that the environment names, while everything goes on.

    Exits with 0 where it was taken, and 2 where it could not be.
    """
    with _explained():
        places = elsewhere(home) or local(Infrastructure(home))
        taken = asyncio.run(taking.take(places, folder, _tell))
    _out.print(
        f"{taken.backup.path}: whole. It holds images of patients: keep it encrypted, and the keys apart from it."
    )
    if taken.pruned:
        _out.print(f"{taken.pruned} objects were removed that no backup in {folder} lists any more")


def restore(
    path: Annotated[Path, typer.Argument(help="One backup, such as backups/20261130T020000000000Z.", exists=True)],
    replace: Annotated[bool, typer.Option("--replace", help="Lose the rows that are there.")] = False,  # noqa: FBT002  # typer's way to declare a flag
    again_hours: Annotated[
        float, typer.Option(min=0, help="Publish again what was published in the hours before the backup.")
    ] = _DEFAULT_AGAIN_HOURS,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Put a backup into a local stack that is down, or into the servers that the environment names.

    Exits with 0 where it is back, and 2 where it could not be.
    """
    with _explained(), _target(home) as places:
        asyncio.run(taking.put_back(places, Backup(path), over=replace, again=timedelta(hours=again_hours), tell=_tell))
    _out.print(
        "It is back. Run the migrations, start the services, then run: radrelay reconcile; radrelay audit verify"
    )


@contextmanager
def _target(home: Path) -> Iterator[Places]:
    """The servers that the environment names, else the local stack's, which run while the block does.

    Raises:
        StackError: the local stack is up.
    """
    named = elsewhere(home)
    if named is not None:
        yield named
        return
    stack = Infrastructure(home)
    if stack.is_running():
        raise StackError(f"the stack in {home} is up: run radrelay down first")
    with stack.started():
        asyncio.run(postgres.provision_all(stack.ports, stack.credentials))
        yield local(stack)


def _tell(what: str) -> None:
    _out.print(f"  {what}")


@contextmanager
def _explained() -> Iterator[None]:
    """Say in a line what went wrong, and end with 2."""
    try:
        yield
    except (StackError, PublishError, nats.errors.Error, APIError, *OUTAGES) as error:
        kind = "" if isinstance(error, StackError) else f"{type(error).__name__}: "
        _error.print(f"radrelay: {kind}{error}")
        raise typer.Exit(FAILED) from error
