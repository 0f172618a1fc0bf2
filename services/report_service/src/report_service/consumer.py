"""Results in: one delivery of `inference.completed` becomes a report, or a dead letter where it never can."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Final, Self

from radrelay_shared.events import Event, InferenceCompleted
from radrelay_shared.gathering import Gathering
from radrelay_shared.messaging import Delivery, Poison
from radrelay_shared.observability import current_traceparent
from report_service import metrics
from report_service.domain.report import ImpossibleResult, Report
from report_service.handlers import Persisted, ReportStore, persist_reports

_AT_ONCE: Final = 128

_Outcome = tuple[Persisted, Report]


@dataclass(frozen=True, slots=True)
class _Result:
    event: Event[InferenceCompleted]
    traceparent: str | None
    """Of its delivery: its report goes on in that trace, whoever it is persisted together with."""


class ResultConsumer:
    """Handles the deliveries of the durable `report-results`. Use as an async context manager.

    While one transaction of a tenant is under way, the tenant's further results gather, and go in the next one
    together. A result whose transaction failed is tried again alone, so that one which no database takes does not keep
    its neighbours from theirs.
    """

    def __init__(self, reports: ReportStore, now: Callable[[], datetime], tenant_label: Callable[[str], str]) -> None:
        self._tenant_label = tenant_label
        self._persist = partial(persist_reports, reports=reports, now=now)
        self._rounds: Gathering[tuple[str, str], _Result, _Outcome] = Gathering(
            self._round, at_once=_AT_ONCE, name="persist reports"
        )

    async def __aenter__(self) -> Self:
        await self._rounds.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._rounds.__aexit__(kind, error, trace)

    async def handle(self, delivery: Delivery) -> None:
        """Persist the result; returning means that it is durable.

        Raises:
            Poison: no repeat will make a report of it.
        """
        event = delivery.event
        if not isinstance(event.data, InferenceCompleted):
            raise Poison("unexpected_event", f"{event.type} is no result")
        alone = event.id if delivery.attempt > 1 else ""
        try:
            outcome, report = await self._rounds.do((event.tenant, alone), _Result(event, current_traceparent()))
        except ImpossibleResult as error:
            raise Poison(error.reason, error.detail) from error
        metrics.RESULTS.labels(outcome=outcome).inc()
        if outcome is Persisted.CREATED and event.data.submission == 1:
            turnaround = report.created_at - report.received_at
            lane = event.data.priority or metrics.UNKNOWN_LANE
            metrics.TURNAROUND_S.labels(lane, self._tenant_label(event.tenant)).observe(turnaround.total_seconds())

    async def _round(self, key: tuple[str, str], results: Sequence[_Result]) -> Sequence[_Outcome | Exception]:
        tenant, _ = key
        traceparents = {each.event.id: each.traceparent for each in results}
        return await self._persist(tenant, [each.event for each in results], traceparents=traceparents)
