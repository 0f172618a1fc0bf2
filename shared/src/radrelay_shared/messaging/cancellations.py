"""Looking up whether an image was cancelled, in the stream that its work comes from.

A cancellation has a subject of its own and lies as long as the work it cancels, so nobody needs to remember it.
Source: NATS documentation, "JetStream wire API", DIRECT.GET.
"""

from uuid import UUID

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from radrelay_shared.events import InstanceCancelled, parse_event
from radrelay_shared.messaging.topology import INSTANCES, cancelled_subject


class Cancellations:
    """Reads the latest cancellation of an image."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js

    async def holds(self, tenant: str, instance_id: UUID, submission: int) -> bool:
        """Whether this submission of the image was cancelled.

        Raises:
            InvalidEvent: what lies there is no cancellation that can be read here.
            nats.errors.Error: the server does not answer.
        """
        try:
            found = await self._js.get_last_msg(INSTANCES.name, cancelled_subject(tenant, instance_id), direct=True)
        except NotFoundError:
            return False
        cancelled: InstanceCancelled = parse_event(found.data or b"").data
        return cancelled.submission >= submission
