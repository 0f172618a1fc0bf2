"""The published heads of audit chains, read back from the streams that keep them."""

from collections.abc import AsyncIterator
from typing import Final

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from radrelay_shared.events import AuditHeadPublished, Event, parse_event
from radrelay_shared.messaging.topology import AUDIT_HEADS_OF, audit_heads_subject

_NO_MESSAGE: Final = 10037


async def published_heads(js: JetStreamContext, tenant: str, service: str) -> AsyncIterator[Event[AuditHeadPublished]]:
    """Every head of a tenant's audit chain in a service that was published and is kept, oldest first.

    Raises:
        KeyError: the service has no audit chains.
        InvalidEvent: the stream holds something else.
        nats.js.errors.APIError: the server refuses, or there is no such stream.
        nats.errors.Error: the server does not answer.
    """
    stream, subject = AUDIT_HEADS_OF[service].name, audit_heads_subject(tenant, service)
    try:
        newest = await js.get_last_msg(stream, subject)
    except NotFoundError as error:
        if error.err_code == _NO_MESSAGE:
            return
        raise
    subscription = await js.subscribe(subject, stream=stream, ordered_consumer=True)
    try:
        while True:
            message = await subscription.next_msg(timeout=5)
            yield parse_event(message.data)
            if message.metadata.sequence.stream >= (newest.seq or 0):
                return
    finally:
        await subscription.unsubscribe()
