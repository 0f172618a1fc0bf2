"""Where `radrelay upload` and `radrelay watch` send to, and whose token they show there."""

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import httpx
import typer

from radrelay_local.client.connection import ApiError, is_on_this_machine
from radrelay_local.errors import StackError
from radrelay_local.options import DEFAULT_HOME
from radrelay_local.stack import RunningStack
from radrelay_shared.auth import Role

TOKEN_VARIABLE: Final = "RADRELAY_TOKEN"  # noqa: S105  # the name of a variable

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="RADRELAY_URL",
        help="Base address of a Radrelay, or of its ingest API alone; the local stack's otherwise.",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", help=f"File with a bearer token; else {TOKEN_VARIABLE} in the environment."),
]
TenantOption = Annotated[
    str | None, typer.Option("--tenant", help="Without a token: tenant of a development token of the local stack.")
]
UserOption = Annotated[str | None, typer.Option("--user", help="Without a token: who the development token is for.")]


@dataclass(frozen=True, slots=True)
class Access:
    """An address and who we are there.

    Attributes:
        url: the base address.
        issue_token: gives a bearer token; raises ApiError or StackError where there is none.
        arguments: the options that lead there again.
    """

    url: str
    issue_token: Callable[[], str]
    arguments: tuple[str, ...]

    def watch_command(self, batch_id: UUID) -> str:
        """The command that follows a batch."""
        return shlex.join(("radrelay", "watch", str(batch_id), *self.arguments))


def access(url: str | None, token_file: Path | None, tenant: str | None, user: str | None, home: Path) -> Access:
    """Find address and token from the options and the environment.

    Raises:
        typer.BadParameter: they do not say enough.
    """
    given = {"--url": url, "--token-file": token_file, "--tenant": tenant, "--user": user}
    given["--home"] = None if home == DEFAULT_HOME else home
    arguments = tuple(part for name, value in given.items() if value is not None for part in (name, str(value)))
    address = _checked(url) if url else _local_address(home)
    if token_file:
        return Access(address, partial(_token_of, token_file), arguments)
    if token := os.environ.get(TOKEN_VARIABLE):
        return Access(address, partial(_one_word, token, TOKEN_VARIABLE), arguments)
    if not is_on_this_machine(address):
        raise typer.BadParameter(f"{address} wants a token: give --token-file, or {TOKEN_VARIABLE} in the environment")
    if not (tenant and user):
        raise typer.BadParameter(
            f"give a token (--token-file, {TOKEN_VARIABLE}), or --tenant and --user for one of the local stack's issuer"
        )
    return Access(address, partial(RunningStack(home).issue_token, tenant, user, [Role.CLINICIAN.value]), arguments)


def _local_address(home: Path) -> str:
    try:
        return RunningStack(home).base_url
    except StackError as error:
        raise typer.BadParameter(f"give --url, or start the local stack: {error}") from error


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise typer.BadParameter(f"{url} is no address: {error}", param_hint="--url") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise typer.BadParameter(f"{url} is no address such as https://radrelay.example.org", param_hint="--url")
    return url


def _token_of(path: Path) -> str:
    """Read anew each time: whoever renews tokens writes them there."""
    try:
        return _one_word(path.read_text("ascii"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ApiError(f"no token in {path}: {type(error).__name__}") from error


def _one_word(text: str, where: str) -> str:
    words = text.split()
    if len(words) != 1 or not text.isascii():
        raise ApiError(f"{where} holds no bearer token: it is to be one word")
    return words[0]
