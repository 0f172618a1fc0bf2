"""Finding the tenants of a lane while it is consumed.

Two ways that make up for each other: what the stream holds is asked for after start and reconnect and from time to
time; and a plain subscription to the lane's subjects hears of each message the moment it is published.
Source: NATS documentation, "JetStream wire API", STREAM.INFO.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import APIError, ServiceUnavailableError

from radrelay_shared.messaging.pulling import AnnouncedPuller
from radrelay_shared.messaging.topology import LaneFamily, ensure_durable, tenant_in

_FIRST_SURVEYS_EVERY_S: Final = 1.0
_SURVEY_EVERY_S: Final = 30.0
"""The pause doubles from the former to the latter, because a message that was published just before we subscribed may
be stored just after the first survey."""
_LOOK_EVERY_S: Final = 1.0
"""How soon a reconnect is noticed, and how long after a fault the next attempt is made."""
_REQUEST_TIMEOUT_S: Final = 5.0

_log = logging.getLogger(__name__)


class TenantWatch:
    """Makes the durable of every tenant that has messages in a lane, and hands its puller to `join`."""

    def __init__(self, js: JetStreamContext, family: LaneFamily, join: Callable[[AnnouncedPuller], None]) -> None:
        self._js = js
        self._client: Client = js._nc  # the context gives no way to its client
        self._family = family
        self._join = join
        self._pullers: dict[str, AnnouncedPuller] = {}
        self._refused: set[str] = set()
        self._unknown: asyncio.Queue[str] = asyncio.Queue()

    async def run(self) -> None:
        """Watch until cancelled.

        Raises:
            nats.js.errors.APIError: the server refuses the question or a durable.
            nats.errors.ConnectionClosedError: the connection was closed under us.
        """
        heard = await self._client.subscribe(self._family.subject, cb=self._hear)
        try:
            await self._watch()
        finally:
            if not self._client.is_closed:
                await heard.unsubscribe()

    async def _watch(self) -> None:
        now = asyncio.get_running_loop().time
        survey_at, pause_s, reconnects = now(), _FIRST_SURVEYS_EVERY_S, 0
        while True:
            if reconnects != self._client.stats["reconnects"]:
                # What was published meanwhile, nobody heard.
                reconnects = self._client.stats["reconnects"]
                survey_at, pause_s = now(), _FIRST_SURVEYS_EVERY_S
            try:
                if now() >= survey_at:
                    for tenant in await tenants_in_stream(self._client, self._family):
                        await self._welcome(tenant)
                    survey_at, pause_s = now() + pause_s, min(2 * pause_s, _SURVEY_EVERY_S)
                else:
                    await self._listen()
            except (ServiceUnavailableError, nats.errors.TimeoutError, nats.errors.NoRespondersError) as error:
                _log.warning("cannot look for tenants", extra={"lane": self._family.name, "error": str(error)})
                survey_at = now() + _LOOK_EVERY_S

    async def _listen(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_EVERY_S):
                tenant = await self._unknown.get()
        except TimeoutError:
            return
        await self._welcome(tenant)

    async def _hear(self, message: Msg) -> None:
        tenant = tenant_in(message.subject)
        if tenant in self._pullers:
            self._pullers[tenant].announce()
        else:
            self._unknown.put_nowait(tenant)

    async def _welcome(self, tenant: str) -> None:
        if tenant in self._pullers or tenant in self._refused:
            return
        try:
            durable = self._family.durable(tenant)
        except ValueError:
            # No event can carry such a tenant, so that nothing of anybody is left lying here.
            self._refused.add(tenant)
            _log.error("messages of what is no tenant", extra={"lane": self._family.name})
            return
        await ensure_durable(self._js, durable)
        puller = AnnouncedPuller(self._client, durable)
        await puller.open()
        self._pullers[tenant] = puller
        self._join(puller)


async def tenants_in_stream(client: Client, family: LaneFamily) -> set[str]:
    """The tenants that the stream holds messages of in this lane, done or not.

    Raises:
        nats.js.errors.APIError: the server refuses.
        nats.errors.Error: it does not answer.
    """
    tenants: set[str] = set()
    offset, total = 0, 1
    while offset < total:
        # nats-py asks for the first page only.
        question = json.dumps({"subjects_filter": family.subject, "offset": offset}).encode()
        subject = f"$JS.API.STREAM.INFO.{family.stream.name}"
        answer = json.loads((await client.request(subject, question, timeout=_REQUEST_TIMEOUT_S)).data)
        if "error" in answer:
            APIError.from_error(answer["error"])
        page = answer["state"].get("subjects") or {}
        tenants.update(map(tenant_in, page))
        if not page:
            break
        offset += len(page)
        total = answer.get("total", offset)
    return tenants
