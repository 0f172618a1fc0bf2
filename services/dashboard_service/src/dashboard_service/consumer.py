"""Events in: each is counted once, or becomes a dead letter where it never can be."""

from collections.abc import Awaitable
from datetime import UTC, datetime

from dashboard_service import metrics
from dashboard_service.domain.counting import Uncountable
from dashboard_service.handlers import CountStore, count_failure, count_report
from radrelay_shared.events import InferenceFailed, ReportCreated
from radrelay_shared.messaging import Delivery, Poison, durables


class CountingConsumer:
    """Handles the deliveries of the durables `dashboard-reports` and `dashboard-failures`."""

    def __init__(self, counts: CountStore) -> None:
        self._counts = counts

    async def handle_report(self, delivery: Delivery) -> None:
        """Count a report; returning means that it is durable.

        Raises:
            Poison: it can never be counted.
        """
        if not isinstance(delivery.event.data, ReportCreated):
            raise Poison("unexpected_event", f"{delivery.event.type} is no report")
        consumer = durables.DASHBOARD_REPORTS.name
        await _settle(delivery, count_report(delivery.event, consumer=consumer, counts=self._counts))

    async def handle_failure(self, delivery: Delivery) -> None:
        """Count a failure; returning means that it is durable.

        Raises:
            Poison: it can never be counted.
        """
        if not isinstance(delivery.event.data, InferenceFailed):
            raise Poison("unexpected_event", f"{delivery.event.type} is no failure")
        consumer = durables.DASHBOARD_FAILURES.name
        await _settle(delivery, count_failure(delivery.event, consumer=consumer, counts=self._counts))


async def _settle(delivery: Delivery, counting: Awaitable[bool]) -> None:
    try:
        counted = await counting
    except Uncountable as error:
        raise Poison(error.reason, error.detail) from error
    event = delivery.event
    metrics.EVENTS.labels(event=event.type, outcome="counted" if counted else "repeated").inc()
    if counted:
        metrics.LAG_S.labels(event=event.type).observe((datetime.now(UTC) - event.time).total_seconds())
