"""Events in: each is counted once, or becomes a dead letter where it never can be."""

from datetime import UTC, datetime
from functools import partial

from dashboard_service import metrics
from dashboard_service.domain.counting import Uncountable
from dashboard_service.handlers.counting import CountStore, count_event
from radrelay_shared.events import EventData, InferenceFailed, ReportCreated, ReportErased, ReportReviewed
from radrelay_shared.messaging import Delivery, Durable, Handle, Poison, durables

COUNTED_FROM: dict[Durable, tuple[type[EventData], ...]] = {
    durables.DASHBOARD_REPORTS: (ReportCreated, ReportReviewed, ReportErased),
    durables.DASHBOARD_FAILURES: (InferenceFailed,),
}
"""Every durable that the read model is made from, and the events that come by it."""


def handler_of(durable: Durable, counts: CountStore) -> Handle:
    """What handles the deliveries of a durable."""
    metrics.expect(each.event_type() for each in COUNTED_FROM[durable])
    return partial(_handle, durable, counts)


async def _handle(durable: Durable, counts: CountStore, delivery: Delivery) -> None:
    """Count an event; returning means that it is durable.

    Raises:
        Poison: it can never be counted.
    """
    event = delivery.event
    if not isinstance(event.data, COUNTED_FROM[durable]):
        raise Poison("unexpected_event", f"{event.type} does not belong here")
    try:
        counted = await count_event(event, consumer=durable.name, counts=counts)
    except Uncountable as error:
        raise Poison(error.reason, error.detail) from error
    metrics.EVENTS.labels(event=event.type, outcome="counted" if counted else "repeated").inc()
    if counted:
        metrics.LAG_S.labels(event=event.type).observe((datetime.now(UTC) - event.time).total_seconds())
