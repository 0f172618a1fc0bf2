"""The broker that a command speaks to: the one that is named, else the local stack's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from nats.js import JetStreamContext
from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from radrelay_local.errors import StackError
from radrelay_local.parts import nats
from radrelay_local.stack import Infrastructure
from radrelay_shared.messaging import NatsSettings, connect
from radrelay_shared.settings import ServiceSettings

_CONNECT_S: Final = 10.0

NatsOption = Annotated[
    str | None,
    typer.Option("--nats", envvar="RADRELAY_NATS__URL", help="Address of the broker; the local stack's otherwise."),
]
UserOption = Annotated[str | None, typer.Option("--user", envvar="RADRELAY_NATS__USER", help="Who we are there.")]
PasswordOption = Annotated[
    str | None, typer.Option("--password", envvar="RADRELAY_NATS__PASSWORD", help="Better given by the environment.")
]


class _Password(BaseModel):
    password: SecretStr | None = None


class _Secrets(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="RADRELAY_", env_nested_delimiter="__", hide_input_in_errors=True)

    nats: _Password = Field(default_factory=_Password)
    """Whose other settings are options."""


def settings(home: Path, url: str | None, user: str | None, password: str | None) -> NatsSettings:
    """The broker that was named, with the password that was given or is a file of secrets; else the local stack's.

    Raises:
        StackError: there is no local stack.
    """
    if url is not None:
        return NatsSettings(url=url, user=user, password=SecretStr(password) if password else _Secrets().nats.password)
    return of_stack(Infrastructure(home))


def of_stack(stack: Infrastructure) -> NatsSettings:
    """The broker of a local stack.

    Raises:
        StackError: the stack was never up.
    """
    return NatsSettings(url=nats.url(stack.ports), user=nats.USER, password=SecretStr(stack.credentials.nats_password))


@asynccontextmanager
async def connected(settings: NatsSettings, *, name: str) -> AsyncIterator[JetStreamContext]:
    """JetStream of the broker, while the block runs.

    Raises:
        StackError: there is no connection in time.
    """
    async with AsyncExitStack() as stack:
        try:
            # Services wait for their broker for ever; a person does not.
            async with asyncio.timeout(_CONNECT_S):
                client = await stack.enter_async_context(connect(settings, name=name))
        except TimeoutError as error:
            raise StackError(f"no connection to the broker within {_CONNECT_S:g} s; is it up?") from error
        yield client.jetstream()
