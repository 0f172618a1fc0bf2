from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, TraceFlags

from radrelay_shared.database import Scope
from radrelay_shared.events import Event, InferenceCompleted, Urgency
from radrelay_shared.http import NotFound
from radrelay_shared.messaging import Delivery, Poison
from radrelay_shared.observability import traceparent_of
from report_service.consumer import ResultConsumer
from report_service.domain.report import ImpossibleResult
from report_service.domain.worklist import WorklistQuery
from report_service.handlers import Persisted, get_report, list_reports, persist_report
from support.events import RECEIVED_AT, inference_completed, report_created
from support.report_store import InMemoryReportStore, InMemoryReportUnit, KeptReads

NOW = datetime(2026, 3, 14, 9, 31, tzinfo=UTC)
CLINICIAN = Scope("acme", "dr-a", "clinician")


@pytest.fixture
def store() -> InMemoryReportStore:
    return InMemoryReportStore()


async def persist(store: InMemoryReportStore, event: Event[InferenceCompleted]) -> Persisted:
    outcome, _ = await persist_report(event, reports=store, now=lambda: NOW)
    return outcome


async def test_a_result_becomes_a_report_and_its_announcement(store: InMemoryReportStore) -> None:
    event = inference_completed()
    assert await persist(store, event) is Persisted.CREATED
    (report,) = store.state.reports
    (announced,) = store.outbox
    assert announced.subject == str(report.report_id)
    assert (announced.tenant, announced.source) == ("acme", "/radrelay/report")
    assert announced.data.model.label == "untrained"


async def test_the_same_event_again_changes_nothing(store: InMemoryReportStore) -> None:
    event = inference_completed()
    await persist(store, event)
    before = store.state
    assert await persist(store, event) is Persisted.REPEATED_EVENT
    assert store.state == before


async def test_another_event_with_another_result_of_the_same_image_and_model_leaves_the_first(
    store: InMemoryReportStore,
) -> None:
    event = inference_completed(probability=0.84)
    await persist(store, event)
    repeated = inference_completed(**(event.data.model_dump(exclude={"model", "confidence"}) | {"probability": 0.7}))
    assert await persist(store, repeated) is Persisted.REPORTED_BEFORE
    assert [report.probability for report in store.state.reports] == [0.84]
    assert len(store.outbox) == 1


async def test_an_impossible_result_writes_nothing(store: InMemoryReportStore) -> None:
    with pytest.raises(ImpossibleResult):
        await persist(store, inference_completed(source_key="globex/x.dcm"))
    assert store == InMemoryReportStore()


async def test_someone_elses_report_is_not_found(store: InMemoryReportStore) -> None:
    await persist(store, inference_completed(owner_id="dr-b"))
    (report,) = store.state.reports
    with pytest.raises(NotFound) as others:
        await get_report(report.report_id, scope=CLINICIAN, reports=store, reads=KeptReads())
    with pytest.raises(NotFound) as nobodys:
        await get_report(uuid4(), scope=CLINICIAN, reports=store, reads=KeptReads())
    assert str(others.value) == str(nobodys.value)


async def test_the_worklist_is_most_urgent_first_then_longest_waiting_first(store: InMemoryReportStore) -> None:
    for urgency, minute in [("routine", 0), ("stat", 9), ("urgent", 5), ("stat", 3), ("urgent", 1)]:
        received_at = RECEIVED_AT + timedelta(minutes=minute)
        await persist(store, inference_completed(urgency=urgency, received_at=received_at))
    page = await list_reports(WorklistQuery(limit=10), scope=CLINICIAN, reports=store, reads=KeptReads())
    order = [(report.urgency, (report.received_at - RECEIVED_AT).seconds // 60) for report in page.reports]
    assert order == [
        (Urgency.STAT, 3),
        (Urgency.STAT, 9),
        (Urgency.URGENT, 1),
        (Urgency.URGENT, 5),
        (Urgency.ROUTINE, 0),
    ]
    assert page.next_after is None


@pytest.mark.parametrize(("limit", "pages"), [(1, [1, 1, 1, 1]), (2, [2, 2]), (3, [3, 1]), (4, [4]), (5, [4])])
async def test_pages_end_where_the_worklist_ends(store: InMemoryReportStore, limit: int, pages: list[int]) -> None:
    for _ in range(4):
        await persist(store, inference_completed())
    sizes, after = [], None
    while True:
        page = await list_reports(
            WorklistQuery(limit=limit, after=after), scope=CLINICIAN, reports=store, reads=KeptReads()
        )
        sizes.append(len(page.reports))
        after = page.next_after
        if after is None:
            break
    assert sizes == pages


def delivery_of(event: Event[Any], attempt: int = 1, span: SpanContext = INVALID_SPAN_CONTEXT) -> Delivery:
    return Delivery(event, "radrelay.v1.acme.inference.completed", attempt, span=span)


async def refusal_of(event: Event[Any], store: InMemoryReportStore) -> str:
    (refused,) = await ResultConsumer(store, lambda: NOW, str).handle([delivery_of(event)])
    assert isinstance(refused, Poison)
    return refused.reason


async def test_the_consumer_turns_an_impossible_result_into_poison_with_its_reason(store: InMemoryReportStore) -> None:
    assert await refusal_of(inference_completed(source_key="globex/x.dcm"), store) == "foreign_object_key"


async def test_the_consumer_refuses_events_that_are_no_results(store: InMemoryReportStore) -> None:
    assert await refusal_of(report_created(), store) == "unexpected_event"


async def test_results_that_come_together_go_into_one_transaction_for_each_tenant(store: InMemoryReportStore) -> None:
    consumer = ResultConsumer(store, lambda: NOW, str)
    events = [inference_completed(tenant=tenant) for _ in range(10) for tenant in ("acme", "globex")]
    wrong = inference_completed(source_key="globex/x.dcm")
    outcomes = await consumer.handle([delivery_of(event) for event in [*events, wrong, events[3]]])
    assert [isinstance(outcome, Poison) for outcome in outcomes] == [*[False] * 20, True, False]
    assert len(store.state.reports) == len(store.outbox) == 20
    assert store.transactions == 2


async def test_results_that_are_persisted_together_are_announced_each_in_its_own_trace(
    store: InMemoryReportStore,
) -> None:
    spans = [SpanContext(number, number, is_remote=True, trace_flags=TraceFlags(1)) for number in range(1, 6)]
    deliveries = [delivery_of(inference_completed(), span=span) for span in spans]
    await ResultConsumer(store, lambda: NOW, str).handle(deliveries)
    assert store.transactions == 1
    expected = {each.event.data.instance_id: traceparent_of(each.span) for each in deliveries}
    assert {event.data.instance_id: store.state.traces[event.id] for event in store.outbox} == expected


async def test_a_result_that_no_database_takes_keeps_its_neighbours_back_once_only(store: InMemoryReportStore) -> None:
    events = [inference_completed() for _ in range(5)]
    poison, *neighbours = events
    consumer = ResultConsumer(Choking(store, poison.id), lambda: NOW, str)
    first, second = [await consumer.handle([delivery_of(each, attempt) for each in events]) for attempt in (1, 2)]
    assert all(isinstance(outcome, ConnectionError) for outcome in first)
    assert [outcome is None for outcome in second] == [False, True, True, True, True]
    kept = {report.instance_id for report in store.state.reports}
    assert kept == {event.data.instance_id for event in neighbours}


@dataclass(frozen=True)
class Choking:
    """A store that does not take one of the events."""

    store: InMemoryReportStore
    event_id: str

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[InMemoryReportUnit]:
        async with self.store.transaction(scope) as unit:
            yield unit
            if (scope.tenant, self.event_id) in unit.state.inbox:
                raise ConnectionError
