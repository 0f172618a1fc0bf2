"""The published heads of the audit chains: the one thing that the streams hold and nothing can make anew."""

from collections.abc import AsyncIterator, Iterable
from typing import Final

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from radrelay_local.backup.folder import HeadMessage
from radrelay_shared.messaging import Publisher, StreamLimits, ensure_topology
from radrelay_shared.messaging.publisher import MESSAGE_ID
from radrelay_shared.messaging.topology import AUDIT_HEADS_OF

_NEXT_WITHIN_S: Final = 10.0


async def read(js: JetStreamContext) -> AsyncIterator[HeadMessage]:
    """Every head that is kept, each stream's oldest first.

    Raises:
        nats.errors.Error, nats.js.errors.APIError: the server does not answer, or refuses.
    """
    for stream in AUDIT_HEADS_OF.values():
        last = await _last(js, stream.name)
        if not last:
            continue
        (subject,) = stream.subjects
        subscription = await js.subscribe(subject, stream=stream.name, ordered_consumer=True)
        try:
            reached = 0
            while reached < last:
                message = await subscription.next_msg(timeout=_NEXT_WITHIN_S)
                reached = message.metadata.sequence.stream
                identifier = (message.headers or {}).get(MESSAGE_ID, f"{stream.name}-{reached}")
                yield HeadMessage(subject=message.subject, message_id=identifier, event=message.data.decode())
        finally:
            await subscription.unsubscribe()


async def put_back(js: JetStreamContext, messages: Iterable[HeadMessage], limits: StreamLimits) -> int:
    """Publish the heads into streams that have none, and return how many.

    Where there are some already the broker has outlived what was restored: its heads stay as they are.

    Raises:
        PublishError: the broker did not confirm one.
    """
    await ensure_topology(js, limits)
    if any([await _last(js, stream.name) for stream in AUDIT_HEADS_OF.values()]):
        return 0
    publisher = Publisher(js)
    published = 0
    for each in messages:
        await publisher.publish_raw(each.subject, each.event.encode(), message_id=each.message_id, headers={})
        published += 1
    return published


async def _last(js: JetStreamContext, stream: str) -> int:
    """The number of the last message; 0 where there is none, or no stream."""
    try:
        state = (await js.stream_info(stream)).state
    except NotFoundError:
        return 0
    return state.last_seq if state.messages else 0
