"""Dead letters: what a consumer could not handle, kept whole with the reason, in a stream of its own."""

from typing import Final

from nats.aio.msg import Msg
from nats.js import JetStreamContext

from radrelay_shared.messaging.publisher import MESSAGE_ID, Publisher
from radrelay_shared.messaging.topology import Durable, dead_letter_subject, tenant_in

REASON: Final = "Radrelay-Reason"
DETAIL: Final = "Radrelay-Detail"
DURABLE: Final = "Radrelay-Durable"
ORIGINAL_SUBJECT: Final = "Radrelay-Subject"
ATTEMPTS: Final = "Radrelay-Attempts"


class DeadLetters:
    """Publishes dead letters: the payload untouched, so that it can be replayed to its original subject."""

    def __init__(self, js: JetStreamContext) -> None:
        self._publisher = Publisher(js)

    async def bury(self, durable: Durable, message: Msg, reason: str, detail: str) -> None:
        """Keep `message` with its reason. The same message buried twice is kept once.

        Raises:
            PublishError: no receipt.
        """
        kept = {k: v for k, v in (message.headers or {}).items() if k not in {MESSAGE_ID, "Nats-Expected-Stream"}}
        await self._publisher.publish_raw(
            dead_letter_subject(tenant_in(message.subject), durable),
            message.data,
            message_id=f"{durable.name}:{message.metadata.stream}:{message.metadata.sequence.stream}",
            headers={
                **kept,
                REASON: reason,
                DETAIL: _one_line(detail),
                DURABLE: durable.label,
                ORIGINAL_SUBJECT: message.subject,
                ATTEMPTS: str(message.metadata.num_delivered),
            },
        )


def _one_line(text: str) -> str:
    """Header values hold no line breaks."""
    return " ".join(text.split())[:500]
