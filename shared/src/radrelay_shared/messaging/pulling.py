"""Pull requests on one durable consumer.

nats-py's own `fetch` waits for a full batch or a time-out and hides a deleted consumer behind an empty list, so the
pull protocol is spoken here: one subscription, one request at a time, every status message told apart.
Source: NATS documentation, "JetStream wire API", CONSUMER.MSG.NEXT.
"""

import asyncio
import json
import logging
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from radrelay_shared.messaging.topology import Durable

_HEARTBEAT: Final = "100"
_NO_RESPONDERS: Final = "503"
_ENDS_REQUEST: Final = {"404", "408", "409"}
_GUARD_S: Final = 2.0
_LINGER_S: Final = 5.0
_SOON_S: Final = 0.005

_log = logging.getLogger(__name__)


class ConsumerMissing(RuntimeError):
    """The durable consumer is not there; whoever starts next creates it."""


class Puller:
    """Pulls messages of one durable. One request is outstanding at a time."""

    def __init__(self, client: Client, durable: Durable) -> None:
        self._client = client
        self._durable = durable
        self._inbox = client.new_inbox()
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{durable.stream.name}.{durable.name}"
        self._arrived: asyncio.Queue[Msg] = asyncio.Queue()
        self._subscription: Subscription | None = None

    @property
    def durable(self) -> Durable:
        """The durable that is pulled from."""
        return self._durable

    async def open(self) -> None:
        """Subscribe to the inbox that messages come to."""
        self._subscription = await self._client.subscribe(self._inbox, cb=self._arrived.put)

    async def close(self) -> None:
        """Unsubscribe; a message that was on its way is delivered again after its ack wait."""
        if self._subscription is not None and not self._client.is_closed:
            await self._subscription.unsubscribe()

    async def pull(self, batch: int, *, wait_s: float | None) -> list[Msg]:
        """Return up to `batch` messages.

        Returns when all came, when the server ends the request, or when `wait_s` is over; with `None`, what is
        there now. With a batch of one it returns the moment a message comes.

        Raises:
            ConsumerMissing: the durable was deleted.
        """
        request: dict[str, int | bool] = {"batch": batch}
        if wait_s is None:
            request["no_wait"] = True
        else:
            request["expires"] = int(wait_s * 1e9)
        await self._client.publish(self._subject, json.dumps(request).encode(), reply=self._inbox)
        messages: list[Msg] = []
        try:
            # A request that a broker took with it when it died never ends: the guard ends it.
            async with asyncio.timeout((wait_s or 0.0) + _GUARD_S):
                while len(messages) < batch:
                    message = await self._arrived.get()
                    status = (message.headers or {}).get("Status") if not message.data else None
                    if status is None:
                        messages.append(message)
                    elif self._ends(status, message):
                        break
        except TimeoutError:
            _log.info("pull request got no end", extra={"durable": self._durable.name})
        return messages

    async def linger(self) -> list[Msg]:
        """Wait for the next message, after a pull that brought none; empty when it is time to ask again.

        Raises:
            ConsumerMissing: the durable was deleted.
        """
        return await self.pull(1, wait_s=_LINGER_S)

    def _ends(self, status: str, message: Msg) -> bool:
        description = (message.headers or {}).get("Description", "")
        if status == _NO_RESPONDERS or "Consumer Deleted" in description:
            raise ConsumerMissing(self._durable.name)
        if status not in _ENDS_REQUEST and status != _HEARTBEAT:
            _log.warning("unknown pull status", extra={"durable": self._durable.name, "status": status})
        return status in _ENDS_REQUEST


class AnnouncedPuller(Puller):
    """Pulls messages of one durable among many, and is told from outside when there is something new.

    It leaves no request with the server while it waits: each of many lingering requests could bring a message while
    there is room for none of them.
    """

    def __init__(self, client: Client, durable: Durable) -> None:
        super().__init__(client, durable)
        self._announced = asyncio.Event()
        self._patience_s = _SOON_S

    def announce(self) -> None:
        """Say that a message was published, and perhaps not stored yet."""
        self._announced.set()

    async def linger(self) -> list[Msg]:
        """Wait until it is worth to pull again; always empty.

        That is at once after an announcement, then after ever longer times: what was announced may come to be stored
        only now, and nobody announces that a message is delivered once more.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                await self._announced.wait()
        except TimeoutError:
            self._patience_s = min(2 * self._patience_s, _LINGER_S)
        else:
            self._announced.clear()
            self._patience_s = _SOON_S
        return []
