"""The commands `radrelay upload` and `radrelay watch`: options in, summary and exit status out."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

from radrelay_local.client.api import ApiClient
from radrelay_local.client.connection import ApiError
from radrelay_local.errors import StackError
from radrelay_local.options import DEFAULT_HOME, HomeOption
from radrelay_local.upload import run
from radrelay_local.upload.access import Access, TenantOption, TokenFileOption, UrlOption, UserOption, access
from radrelay_local.upload.outcome import ExitStatus, Outcome
from radrelay_local.upload.screen import Screen
from radrelay_local.upload.walking import find_files
from radrelay_shared.events import Urgency

EXIT_STATUSES = (
    "Exit status: 0 all reported; 1 wrong usage, or the server cannot be reached or refuses; "
    "2 some files were rejected, failed or could not be read; 3 interrupted, or still processing."
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


class Command(TyperCommand):
    """A command whose wrong usage ends with 1: its 2 means something else."""

    def make_context(self, *arguments: Any, **extra: Any) -> Any:
        """As in the base class."""
        return _usage_error_ends_with_1(super().make_context, *arguments, **extra)

    def invoke(self, ctx: Any) -> Any:
        """As in the base class."""
        return _usage_error_ends_with_1(super().invoke, ctx)


def add_to(app: typer.Typer) -> None:
    """Add both commands to an application."""
    app.command(cls=Command, epilog=EXIT_STATUSES)(upload)
    app.command(cls=Command, epilog=EXIT_STATUSES)(watch)


def upload(  # noqa: PLR0913, PLR0917  # each is an option of the command
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", help="Files, folders with all below them, and ZIP archives.", exists=True),
    ],
    priority: Annotated[Urgency, typer.Option(help="How soon the images are wanted.")] = Urgency.ROUTINE,
    label: Annotated[str | None, typer.Option(help="What the batch is called.")] = None,
    as_json: JsonOption = False,  # noqa: FBT002  # typer's way to declare a flag
    no_wait: Annotated[  # noqa: FBT002  # typer's way to declare a flag
        bool, typer.Option("--no-wait", help="End when all is sent; processing goes on.")
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=16, help="Requests at the same time.")] = 2,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    tenant: TenantOption = None,
    user: UserOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Send DICOM files as one batch, and follow it until each image has its report."""
    where = access(url, token_file, tenant, user, home)
    found = find_files(paths)
    if not found.files:
        reasons = "".join(f"; {each.name}: {each.detail}" for each in found.skipped)
        raise typer.BadParameter(f"there is nothing to send{reasons}", param_hint="PATH")
    order = run.Order(found, priority, label, concurrency, wait=not no_wait)
    _perform(where, lambda client, screen: run.upload(client, order, screen), as_json=as_json)


def watch(  # each is an option of the command
    batch_id: Annotated[UUID, typer.Argument(metavar="BATCH_ID", help="The batch, as radrelay upload printed it.")],
    as_json: JsonOption = False,  # noqa: FBT002  # typer's way to declare a flag
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    tenant: TenantOption = None,
    user: UserOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Follow a batch until each of its images has its report."""
    where = access(url, token_file, tenant, user, home)
    _perform(where, lambda client, screen: run.watch(client, batch_id, screen), as_json=as_json)


def _perform(
    where: Access, work: Callable[[ApiClient, Screen], Coroutine[Any, Any, Outcome]], *, as_json: bool
) -> None:
    """Do the work, print what came of it, and end with its exit status."""
    screen = Screen()

    async def connected() -> Outcome:
        async with ApiClient(where.url, where.issue_token) as client:
            return await work(client, screen)

    try:
        outcome = asyncio.run(connected())
    except KeyboardInterrupt:
        screen.say("Interrupted.")
        raise typer.Exit(ExitStatus.UNFINISHED) from None
    except ApiError as error:
        raise StackError(str(error)) from error
    if as_json:
        typer.echo(json.dumps(outcome.to_json(), indent=2))
    else:
        screen.summary(outcome)
    _tell_what_to_do(where, outcome, screen)
    raise typer.Exit(outcome.exit_status())


def _tell_what_to_do(where: Access, outcome: Outcome, screen: Screen) -> None:
    """After an early end, say how to go on."""
    if outcome.error:
        screen.say(f"Broken off: {outcome.error}")
    if outcome.interrupted:
        screen.say("Interrupted. What was sent is stored, and processed without us.")
    shipment = outcome.shipment
    early = outcome.interrupted or outcome.error is not None
    if early and shipment and shipment.sent_files < shipment.files:
        screen.say("Not everything was sent. Send the same again: nothing is stored twice.")
    if outcome.exit_status() in {ExitStatus.ERROR, ExitStatus.UNFINISHED}:
        screen.say(f"To follow the batch: {where.watch_command(outcome.batch.batch_id)}")


def _usage_error_ends_with_1(call: Callable[..., Any], *arguments: Any, **extra: Any) -> Any:
    try:
        return call(*arguments, **extra)
    except TyperException as error:
        error.exit_code = ExitStatus.ERROR
        raise
