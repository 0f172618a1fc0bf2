"""Results in: deliveries of `inference.completed` become reports, or dead letters where they never can."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from radrelay_shared.events import InferenceCompleted
from radrelay_shared.messaging import Delivery, Poison, Together
from radrelay_shared.observability import get_tracer, traceparent_of, work_for
from report_service import metrics
from report_service.domain.report import ImpossibleResult, Report
from report_service.handlers import Persisted, ReportStore, persist_reports

AT_ONCE: Final = 1024
"""Results handled together at most, those of each tenant in one transaction."""
_tracer = get_tracer(__name__)


class ResultConsumer:
    """Handles the deliveries of the durable `report-results`.

    Results of a tenant that come together are persisted in one transaction. A result whose transaction failed is tried
    again alone, so that one which no database takes does not keep its neighbours from theirs.
    """

    def __init__(self, reports: ReportStore, now: Callable[[], datetime], tenant_label: Callable[[str], str]) -> None:
        self._tenant_label = tenant_label
        self._persist = partial(persist_reports, reports=reports, now=now)

    @property
    def together(self) -> Together:
        """How the consumer is to hand over deliveries."""
        return Together(self.handle, at_once=AT_ONCE)

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Exception | None]:
        """Persist the results; None for one means that its report is durable, `Poison` that it can have none."""
        rounds: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        outcomes: list[Exception | None] = [None] * len(deliveries)
        for place, each in enumerate(deliveries):
            if isinstance(each.event.data, InferenceCompleted):
                rounds[each.tenant, each.event.id if each.attempt > 1 else ""].append(place)
            else:
                outcomes[place] = Poison("unexpected_event", f"{each.event.type} is no result")
        done = await asyncio.gather(*(self._round([deliveries[place] for place in each]) for each in rounds.values()))
        for places, results in zip(rounds.values(), done, strict=True):
            for place, result in zip(places, results, strict=True):
                outcomes[place] = result
        return outcomes

    async def _round(self, deliveries: Sequence[Delivery]) -> Sequence[Exception | None]:
        """Persist results of one tenant."""
        with work_for([each.span for each in deliveries], _tracer, "persist reports") as span:
            try:
                persisted = await self._persist(
                    deliveries[0].tenant,
                    [each.event for each in deliveries],
                    traceparents={each.event.id: traceparent_of(each.span) for each in deliveries},
                )
            except Exception as error:  # noqa: BLE001  # it is what was wrong with each delivery of the round
                span.record_exception(error)
                return [error] * len(deliveries)
        return [self._noted(each, outcome) for each, outcome in zip(deliveries, persisted, strict=True)]

    def _noted(self, delivery: Delivery, outcome: tuple[Persisted, Report] | ImpossibleResult) -> Exception | None:
        if isinstance(outcome, ImpossibleResult):
            return Poison(outcome.reason, outcome.detail)
        persisted, report = outcome
        metrics.RESULTS.labels(outcome=persisted).inc()
        result = delivery.event.data
        if persisted is Persisted.CREATED and result.submission == 1:
            turnaround = report.created_at - report.received_at
            lane = result.priority or metrics.UNKNOWN_LANE
            metrics.TURNAROUND_S.labels(lane, self._tenant_label(delivery.tenant)).observe(turnaround.total_seconds())
        return None
