"""A NATS connection that never gives up."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from pydantic import BaseModel, Field, SecretStr

from radrelay_shared.messaging.topology import StreamLimits

_log = logging.getLogger(__name__)


class NatsSettings(BaseModel):
    """Where the broker is and who we are there."""

    url: str = Field(default="nats://127.0.0.1:4222", repr=False)
    """May carry a password."""
    user: str | None = None
    password: SecretStr | None = None
    connect_timeout_s: float = 5.0
    streams: StreamLimits = Field(default_factory=StreamLimits)


@asynccontextmanager
async def connect(settings: NatsSettings, *, name: str) -> AsyncIterator[Client]:
    """Connect, keep reconnecting for ever, drain and close at the end.

    Every fault of the connection is logged: nats-py reports denied permissions and lost connections only here.
    """
    closing = False

    async def on_error(error: Exception) -> None:
        _log.warning("nats error", extra={"error": f"{type(error).__name__}: {error}"})

    async def on_disconnected() -> None:
        if not closing:
            _log.warning("nats disconnected")

    async def on_reconnected() -> None:
        _log.info("nats reconnected")

    client = await nats.connect(
        settings.url,
        name=name,
        user=settings.user,
        password=settings.password.get_secret_value() if settings.password else None,
        connect_timeout=settings.connect_timeout_s,
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.5,
        ping_interval=5,
        max_outstanding_pings=2,
        error_cb=on_error,
        disconnected_cb=on_disconnected,
        reconnected_cb=on_reconnected,
    )
    try:
        yield client
    finally:
        closing = True
        await client.close()


async def broker_ready(client: Client) -> None:
    """Raise when the broker does not answer."""
    await client.flush(timeout=2)


def is_broker_outage(error: BaseException) -> bool:
    """Whether the broker is away, or cannot answer for now."""
    return isinstance(error, (nats.errors.Error, nats.js.errors.Error, OSError))
