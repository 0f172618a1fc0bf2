"""The worker's jobs on a real broker and a real database: nothing lost, nothing twice, nothing stuck."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import partial

import pytest
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from sqlalchemy import text

from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Event, InferenceCompleted, ReportCreated, parse_event
from radrelay_shared.messaging import Delivery, Publisher, connect, durables, ensure_topology, subject_of
from radrelay_shared.messaging.deadletters import REASON
from radrelay_shared.messaging.topology import dead_letter_subject
from report_service import bootstrap
from report_service.adapters.postgres import PostgresReportStore
from report_service.consumer import ResultConsumer
from report_service.settings import ReportSettings
from support.events import UNTRAINED, inference_completed
from support.tenants import new_tenant
from support.workers import OpenWorker, publish_again, until_settled, working


@pytest.fixture(scope="module")
async def js(settings: ReportSettings) -> AsyncIterator[JetStreamContext]:
    async with connect(settings.nats, name="test") as client:
        context = client.jetstream()
        await ensure_topology(context, settings.nats.streams)
        yield context


@pytest.fixture
def open_worker(settings: ReportSettings) -> OpenWorker:
    return partial(bootstrap.open_worker, settings)


async def count(database: Database, tenant: str, table: str) -> int:
    async with database.transaction(Scope.service(tenant)) as session:
        return int((await session.execute(text(f"SELECT count(*) FROM report.{table}"))).scalar_one())


async def announced(js: JetStreamContext, tenant: str) -> list[Event[ReportCreated]]:
    """Every `report.created` of the tenant that the stream holds."""
    found: list[Event[ReportCreated]] = []
    subject, sequence = subject_of(ReportCreated, tenant=tenant), 0
    while True:
        try:
            message = await js.get_msg(durables.REPORTS.name, sequence + 1, subject, next=True)
        except NotFoundError:
            return found
        assert message.data is not None
        assert message.seq is not None
        found.append(parse_event(message.data))
        sequence = message.seq


async def until_announced(js: JetStreamContext, tenant: str, expected: int) -> list[Event[ReportCreated]]:
    """Wait until every result is settled and at least so many reports are announced, and return all that are."""
    await until_settled(js, durables.REPORT_RESULTS)
    async with asyncio.timeout(30):
        while len(found := await announced(js, tenant)) < expected:
            await asyncio.sleep(0.02)
    return found


async def test_each_result_becomes_one_report_and_one_announcement(
    open_worker: OpenWorker, database: Database, js: JetStreamContext
) -> None:
    tenant = new_tenant()
    events = [inference_completed(tenant=tenant) for _ in range(30)]
    async with working(open_worker):
        await asyncio.gather(*(Publisher(js).publish(event) for event in events))
        found = await until_announced(js, tenant, 30)
    assert {event.data.instance_id for event in found} == {event.data.instance_id for event in events}
    assert len(found) == await count(database, tenant, "reports") == 30
    assert {event.data.model.label for event in found} == {"untrained"}


async def test_the_same_event_delivered_again_makes_no_second_report(
    open_worker: OpenWorker, database: Database, js: JetStreamContext
) -> None:
    tenant = new_tenant()
    event = inference_completed(tenant=tenant)
    async with working(open_worker):
        await Publisher(js).publish(event)
        for _ in range(3):
            await publish_again(js, event)
        assert len(await until_announced(js, tenant, 1)) == 1
    assert await count(database, tenant, "reports") == 1
    assert await count(database, tenant, "inbox") == 1


async def test_a_crash_between_commit_and_acknowledgement_makes_no_second_report(
    open_worker: OpenWorker, database: Database, js: JetStreamContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = new_tenant()
    handle = ResultConsumer.handle
    attempts: list[int] = []

    async def commit_then_crash(self: ResultConsumer, deliveries: Sequence[Delivery]) -> list[Exception | None]:
        outcomes = await handle(self, deliveries)
        ours = [each.attempt for each in deliveries if each.tenant == tenant]
        attempts.extend(ours)
        if 1 in ours:
            raise ConnectionError
        return outcomes

    monkeypatch.setattr(ResultConsumer, "handle", commit_then_crash)
    async with working(open_worker):
        await Publisher(js).publish(inference_completed(tenant=tenant))
        assert len(await until_announced(js, tenant, 1)) == 1
    assert attempts == [1, 2]
    assert await count(database, tenant, "reports") == 1


async def test_an_impossible_result_becomes_a_dead_letter_and_its_neighbours_become_reports(
    open_worker: OpenWorker, database: Database, js: JetStreamContext
) -> None:
    tenant = new_tenant()
    poison = inference_completed(tenant=tenant, source_key=f"{new_tenant()}/instances/x.dcm")
    neighbours = [inference_completed(tenant=tenant) for _ in range(10)]
    async with working(open_worker):
        for event in (*neighbours[:5], poison, *neighbours[5:]):
            await Publisher(js).publish(event)
        found = await until_announced(js, tenant, 10)
    assert {event.data.instance_id for event in found} == {event.data.instance_id for event in neighbours}
    assert await count(database, tenant, "reports") == 10
    assert await dead_letter(js, tenant) == ("foreign_object_key", poison.to_json())


async def test_a_payload_that_is_no_event_becomes_a_dead_letter(open_worker: OpenWorker, js: JetStreamContext) -> None:
    tenant = new_tenant()
    payload = inference_completed(tenant=tenant).to_json().replace(b'"probability":0.84', b'"probability":1.84')
    async with working(open_worker):
        await js.publish(subject_of(InferenceCompleted, tenant=tenant), payload)
        await until_settled(js, durables.REPORT_RESULTS)
    assert await dead_letter(js, tenant) == ("invalid_event", payload)


async def dead_letter(js: JetStreamContext, tenant: str) -> tuple[str, bytes | None]:
    """The reason and the payload of the tenant's one dead letter from the report service."""
    subject = dead_letter_subject(tenant, durables.REPORT_RESULTS)
    try:
        message = await js.get_last_msg(durables.DEAD_LETTERS.name, subject)
    except NotFoundError:
        pytest.fail("there is no dead letter")
    assert message.headers is not None
    return message.headers[REASON], message.data


async def test_two_models_make_two_reports_of_one_image(
    open_worker: OpenWorker, database: Database, js: JetStreamContext
) -> None:
    tenant = new_tenant()
    event = inference_completed(tenant=tenant)
    other = UNTRAINED.model_copy(update={"digest": "sha256:" + "7f" * 32})
    async with working(open_worker):
        await Publisher(js).publish(event)
        await Publisher(js).publish(inference_completed(tenant=tenant, instance_id=event.data.instance_id, model=other))
        found = await until_announced(js, tenant, 2)
    assert len({event.data.report_id for event in found}) == 2
    assert await count(database, tenant, "reports") == 2


async def test_what_was_not_announced_when_the_worker_went_is_announced_by_the_next(
    open_worker: OpenWorker, database: Database, js: JetStreamContext
) -> None:
    tenant = new_tenant()
    consumer = ResultConsumer(PostgresReportStore(database), lambda: datetime.now(UTC), str)
    assert await consumer.handle([Delivery(inference_completed(tenant=tenant), "subject", attempt=1)]) == [None]
    assert await announced(js, tenant) == []
    async with working(open_worker):
        assert len(await until_announced(js, tenant, 1)) == 1
