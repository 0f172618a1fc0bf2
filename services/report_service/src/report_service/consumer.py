"""Results in: one delivery of `inference.completed` becomes a report, or a dead letter where it never can."""

from collections.abc import Callable
from datetime import datetime

from radrelay_shared.events import InferenceCompleted
from radrelay_shared.messaging import Delivery, Poison
from report_service import metrics
from report_service.domain.report import ImpossibleResult
from report_service.handlers import Persisted, ReportStore, persist_report


class ResultConsumer:
    """Handles the deliveries of the durable `report-results`."""

    def __init__(self, reports: ReportStore, now: Callable[[], datetime]) -> None:
        self._reports = reports
        self._now = now

    async def handle(self, delivery: Delivery) -> None:
        """Persist the result; returning means that it is durable.

        Raises:
            Poison: no repeat will make a report of it.
        """
        if not isinstance(delivery.event.data, InferenceCompleted):
            raise Poison("unexpected_event", f"{delivery.event.type} is no result")
        try:
            outcome, report = await persist_report(delivery.event, reports=self._reports, now=self._now)
        except ImpossibleResult as error:
            raise Poison(error.reason, error.detail) from error
        metrics.RESULTS.labels(outcome=outcome).inc()
        if outcome is Persisted.CREATED:
            turnaround = report.created_at - report.received_at
            metrics.TURNAROUND_S.labels(urgency=report.urgency).observe(turnaround.total_seconds())
