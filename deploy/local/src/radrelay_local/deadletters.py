"""`radrelay deadletters`: read what consumers gave up, and send it again once its fault is mended."""

import asyncio
import base64
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, TypeVar

import nats.errors
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from radrelay_local import brokers
from radrelay_local.brokers import NatsOption, PasswordOption, UserOption
from radrelay_local.errors import StackError
from radrelay_local.options import DEFAULT_HOME, HomeOption
from radrelay_shared.events import InvalidEvent, parse_event
from radrelay_shared.messaging import NatsSettings, PublishError
from radrelay_shared.messaging.deadletters import (
    DeadLetter,
    DeadLetterStream,
    NoDeadLetter,
    NotReplayable,
    Selection,
)

T = TypeVar("T")

_SHOWN_BYTES: Final = 1000

app = typer.Typer(help="What consumers gave up: list it, look at it, send it again.", no_args_is_help=True)
_out = Console(highlight=False, soft_wrap=True)

TenantOption = Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")]
DurableOption = Annotated[
    str | None, typer.Option("--durable", help="Only what this consumer gave up, such as inference-routine.")
]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Only with this reason.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_letters(  # noqa: PLR0913, PLR0917  # each is an option of the command
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    tenant: TenantOption = None,
    durable: DurableOption = None,
    reason: ReasonOption = None,
    as_json: JsonOption = False,  # noqa: FBT002  # typer's way to declare a flag
    nats_url: NatsOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """List dead letters, the newest last."""

    async def newest(letters: DeadLetterStream) -> list[DeadLetter]:
        kept: deque[DeadLetter] = deque(maxlen=limit)
        async for letter in letters.find(_selection(tenant, durable, reason)):
            kept.append(letter)
        return list(kept)

    found = _with_letters(brokers.settings(home, nats_url, user, password), newest)
    if as_json:
        typer.echo(json.dumps([_summary(letter) for letter in found], indent=2))
        return
    if not found:
        _out.print("No dead letters.")
        return
    table = Table("number", "buried at", "tenant", "given up by", "attempts", "reason", "detail", box=None)
    for each in found:
        buried_at = each.buried_at.isoformat(sep=" ", timespec="seconds")
        cells = (each.sequence, buried_at, each.tenant, each.durable, each.attempts, each.reason, each.detail)
        table.add_row(*(escape(str(cell)) for cell in cells))
    _out.print(table)


@app.command()
def show(
    sequence: Annotated[int, typer.Argument(min=1, help="Number of the dead letter.")],
    as_json: JsonOption = False,  # noqa: FBT002  # typer's way to declare a flag
    nats_url: NatsOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Show one dead letter: why it was given up, its headers and its event."""
    letter = _with_letters(brokers.settings(home, nats_url, user, password), lambda letters: letters.get(sequence))
    content, fault = _content(letter.payload)
    if as_json:
        typer.echo(json.dumps({**_summary(letter), "headers": letter.headers, "fault": fault, **content}, indent=2))
        return
    for name, value in {**_summary(letter), **letter.headers}.items():
        typer.echo(f"{name}: {value}")
    typer.echo()
    if fault:
        typer.echo(f"The payload is no event: {fault}")
    if "event" in content:
        typer.echo(json.dumps(content["event"], indent=2))
    else:
        typer.echo(f"The first of {len(letter.payload)} bytes: {letter.payload[:_SHOWN_BYTES]!r}")


@app.command()
def replay(  # noqa: PLR0913, PLR0917  # each is an option of the command
    sequences: Annotated[list[int] | None, typer.Argument(min=1, help="Numbers of dead letters.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that there are now, or those of the filters.")] = False,  # noqa: FBT002  # typer's way to declare a flag
    tenant: TenantOption = None,
    durable: DurableOption = None,
    reason: ReasonOption = None,
    nats_url: NatsOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Send dead letters to where they came from again, and remove each once the broker has it."""
    selection = _selection(tenant, durable, reason)
    if every == bool(sequences) or (sequences and selection != Selection()):
        raise typer.BadParameter("give numbers, or --all with or without --tenant, --durable and --reason")

    async def send(letters: DeadLetterStream) -> int:
        # Collected first: what fails once more comes back with a new number.
        numbers = sequences or [letter.sequence async for letter in letters.find(selection)]
        for number in numbers:
            letter = await letters.get(number)
            await letters.replay(letter)
            typer.echo(f"{number} sent to {letter.original_subject}")
        return len(numbers)

    if not _with_letters(brokers.settings(home, nats_url, user, password), send):
        typer.echo("No dead letters.")


def _selection(tenant: str | None, durable: str | None, reason: str | None) -> Selection:
    for name, value in (("--tenant", tenant), ("--durable", durable)):
        if value is not None and not value.replace("-", "").isalnum():
            raise typer.BadParameter(f"{name} {value!r} is no name")
    return Selection(tenant, durable, reason)


def _with_letters(settings: NatsSettings, use: Callable[[DeadLetterStream], Awaitable[T]]) -> T:
    """What `use` gives, on a connection of its own.

    Raises:
        StackError: the broker cannot be reached, refuses, or has no such dead letter.
    """

    async def run() -> T:
        async with brokers.connected(settings, name="radrelay-deadletters") as js:
            return await use(DeadLetterStream(js))

    try:
        return asyncio.run(run())
    except (NoDeadLetter, NotReplayable) as error:
        raise StackError(str(error)) from error
    except (nats.errors.Error, PublishError) as error:
        raise StackError(f"the broker does not do it: {error}") from error


def _summary(letter: DeadLetter) -> dict[str, Any]:
    return {
        "sequence": letter.sequence,
        "buried_at": letter.buried_at.isoformat(),
        "tenant": letter.tenant,
        "durable": letter.durable,
        "reason": letter.reason,
        "detail": letter.detail,
        "attempts": letter.attempts,
        "original_subject": letter.original_subject,
    }


def _content(payload: bytes) -> tuple[dict[str, Any], str | None]:
    """The payload as JSON where it is some, else in base64; and what keeps it from being an event."""
    try:
        parse_event(payload)
        fault = None
    except InvalidEvent as error:
        fault = str(error)
    try:
        return {"event": json.loads(payload)}, fault
    except ValueError:
        return {"payload_base64": base64.b64encode(payload).decode()}, fault
