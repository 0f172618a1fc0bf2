"""What a consumer hands to its handler, and what the handler may answer."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext

from radrelay_shared.events import Event


class Poison(Exception):
    """The message will never succeed: it goes to the dead letters with this reason, and its neighbours go on."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of one event."""

    event: Event[Any]
    subject: str
    attempt: int
    """1 for the first delivery."""
    headers: dict[str, str] = field(default_factory=dict)
    span: SpanContext = INVALID_SPAN_CONTEXT
    """Of its handling: what comes of it goes on in that trace, whoever it is handled together with."""

    @property
    def tenant(self) -> str:
        """The tenant of the event; equal to the subject's, which is checked."""
        return self.event.tenant


Handle = Callable[[Delivery], Awaitable[None]]
HandleTogether = Callable[[Sequence[Delivery]], Awaitable[Sequence[Exception | None]]]
"""Gives for each delivery, in their order, what was wrong with it, or None; what it raises is wrong with them all."""
OnExhausted = Callable[[Delivery, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Together:
    """Deliveries that come together are handled together: for work that costs less by the dozen."""

    handle: HandleTogether
    at_once: int
    """So many at most; fewer, and one alone, where no more wait."""

    @classmethod
    def each_alone(cls, handle: Handle) -> "Together":
        """Every delivery by itself, whatever else comes with it."""

        async def handle_one(deliveries: Sequence[Delivery]) -> Sequence[Exception | None]:
            (delivery,) = deliveries
            await handle(delivery)
            return [None]

        return cls(handle_one, at_once=1)
