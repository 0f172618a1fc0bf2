"""The streams, read from their beginning without a consumer: whoever else reads them is not disturbed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from dashboard_service.handlers.rebuilding import SOURCES, Extent
from radrelay_shared.events import Event, InvalidEvent, parse_event
from radrelay_shared.messaging import Durable
from radrelay_shared.messaging.topology import tenant_in

_CLOCKS_DIFFER: Final = timedelta(minutes=1)
"""By no more than this do the clocks of services and broker differ."""


class JetStreamHistory:
    """Implements the port on JetStream's message get, which gives the next message of a subject."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js

    async def tenants(self) -> set[str]:
        """Those of whom there are events."""
        found = set()
        for source in SOURCES:
            for subject in source.filter_subjects:
                info = await self._js.stream_info(source.stream.name, subjects_filter=subject)
                found |= {tenant_in(each) for each in info.state.subjects or ()}
        return found

    async def extent(self, source: Durable) -> Extent:
        """What the stream holds now.

        A stream that has lost nothing yet is complete since it was made; else since its first message.
        """
        info = await self._js.stream_info(source.stream.name)
        since = info.created
        if info.state.first_seq > 1:
            since = await self._time_of(source, info.state.first_seq)
        return Extent(info.state.last_seq, (since or datetime.now(UTC)) + _CLOCKS_DIFFER)

    async def events(
        self, source: Durable, tenant: str, last_sequence: int
    ) -> AsyncIterator[tuple[int, Event[Any] | None]]:
        """One subject after the other: the order in which changes come does not matter."""
        for subject in source.filter_subjects:
            sequence = 0
            while sequence < last_sequence:
                try:
                    message = await self._js.get_msg(
                        source.stream.name, sequence + 1, subject=subject.replace("*", tenant, 1), next=True
                    )
                except NotFoundError:
                    break
                sequence = message.seq or last_sequence
                if sequence <= last_sequence:
                    yield sequence, _parsed(message.data or b"", tenant)

    async def _time_of(self, source: Durable, sequence: int) -> datetime | None:
        """When a message was stored; None where it is gone by now, or the stream is empty."""
        try:
            return (await self._js.get_msg(source.stream.name, sequence)).time
        except NotFoundError:
            return None


def _parsed(data: bytes, tenant: str) -> Event[Any] | None:
    try:
        event = parse_event(data)
    except InvalidEvent:
        return None
    return event if event.tenant == tenant else None
