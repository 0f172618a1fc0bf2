"""Which span tried a message before, so that a redelivery can link to it."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from nats.aio.msg import Msg
from opentelemetry.trace import Link, SpanContext

from radrelay_shared.observability import links_to

_REMEMBERED: Final = 10_000


class Attempts:
    """The last attempt at each message that this process gave back; the oldest are forgotten where there are many."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, int], SpanContext] = OrderedDict()

    def before(self, message: Msg, attempt: int, sent: SpanContext) -> Sequence[Link]:
        """Links of an attempt: the first has none; others to the last one, or to the sending where that is not known.

        Attempts are siblings under the span that sent the message: one does not cause the next.
        """
        if attempt == 1:
            return ()
        return links_to([self._last.get(_key(message)) or sent])

    def note(self, message: Msg, span: SpanContext, *, comes_again: bool) -> None:
        """Remember an attempt as long as another may follow."""
        self._last.pop(_key(message), None)
        if comes_again:
            self._last[_key(message)] = span
            if len(self._last) > _REMEMBERED:
                self._last.popitem(last=False)


def _key(message: Msg) -> tuple[str, int]:
    return message.metadata.stream, message.metadata.sequence.stream
