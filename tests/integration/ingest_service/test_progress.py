import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from nats.js import JetStreamContext
from sqlalchemy import text

from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Event
from radrelay_shared.messaging import Publisher
from support.dicom_files import dicom_file
from support.events import inference_completed, inference_failed, instance_stored, report_created
from support.ingest_api import IngestUser
from support.ingest_case import Case, applied, started
from support.stack import Infrastructure
from support.tenants import new_tenant

MakeUser = Callable[..., IngestUser]
Working = Callable[..., AbstractAsyncContextManager[None]]
Stream = AsyncIterator[tuple[str, dict[str, Any]]]


async def test_a_case_goes_from_queued_over_processing_to_reported(case: Case, working: Working) -> None:
    assert (await case.file())["status"] == "queued"
    report = report_created(tenant=case.tenant, instance_id=case.instance_id)
    async with working():
        await case.say(started(case.tenant, case.instance_id))
        assert (await case.becomes("processing"))["report_id"] is None
        await case.say(report)
        file = await case.becomes("reported")
    assert (file["report_id"], file["reason"]) == (str(report.data.report_id), None)


async def test_a_failure_is_shown_with_its_reason(case: Case, working: Working) -> None:
    async with working():
        await case.say(inference_failed(tenant=case.tenant, instance_id=case.instance_id))
        file = await case.becomes("failed")
    assert (file["reason"], file["detail"]) == ("undecodable_pixels", "Pixel data ends early.")


async def test_a_report_wins_and_a_late_start_or_failure_changes_nothing(
    case: Case, working: Working, database: Database
) -> None:
    late_start = started(case.tenant, case.instance_id)
    late_failure = inference_failed(tenant=case.tenant, instance_id=case.instance_id)
    async with working():
        await case.say(inference_failed(tenant=case.tenant, instance_id=case.instance_id))
        await case.becomes("failed")
        await case.say(late_start)
        await applied(database, late_start)
        assert (await case.file())["status"] == "failed"
        await case.say(report_created(tenant=case.tenant, instance_id=case.instance_id))
        file = await case.becomes("reported")
        assert (file["reason"], file["detail"]) == (None, None)
        await case.say(late_failure)
        await applied(database, late_failure)
    assert (await case.file()) == file


async def test_an_event_delivered_twice_is_applied_once(case: Case, working: Working, database: Database) -> None:
    report = report_created(tenant=case.tenant, instance_id=case.instance_id)
    other = report_created(tenant=case.tenant, instance_id=case.instance_id, report_id=uuid4())
    publisher = case.publisher
    async with working():
        await case.say(report)
        first = await case.becomes("reported")
        await publisher.publish_raw(
            f"radrelay.v1.{case.tenant}.report.created", report.to_json(), message_id=str(uuid4()), headers={}
        )
        await case.say(other)
        await applied(database, other)
    assert (await case.file()) == first
    async with database.transaction(Scope.service(case.tenant)) as session:
        assert await session.scalar(text("SELECT count(*) FROM ingest.inbox")) == 2


@pytest.mark.parametrize("make", [instance_stored, inference_completed])
async def test_a_case_that_some_consumer_gave_up_on_is_failed_with_that_reason(
    case: Case, working: Working, make: Callable[..., Event[Any]]
) -> None:
    async with working():
        await case.bury(make(tenant=case.tenant, instance_id=case.instance_id), reason="retries_exhausted")
        file = await case.becomes("failed")
    assert file["reason"] == "retries_exhausted"
    assert "report-results" in file["detail"]


async def test_a_case_that_was_given_up_is_reported_after_all_when_its_dead_letter_was_replayed(
    case: Case, working: Working, database: Database
) -> None:
    """What the replay brings: the same start again, which the inbox drops, and then the report."""
    start = started(case.tenant, case.instance_id)
    stored = instance_stored(tenant=case.tenant, instance_id=case.instance_id)
    report = report_created(tenant=case.tenant, instance_id=case.instance_id)
    async with working():
        await case.say(start)
        await applied(database, start)
        await case.say(inference_failed(tenant=case.tenant, instance_id=case.instance_id, reason="retries_exhausted"))
        await case.becomes("failed")
        await case.bury(stored, reason="retries_exhausted")
        await applied(database, stored)
        await case.publisher.publish_raw(
            f"radrelay.v1.{case.tenant}.inference.started", start.to_json(), message_id=str(uuid4()), headers={}
        )
        await case.say(report)
        file = await case.becomes("reported")
    assert (file["report_id"], file["reason"], file["detail"]) == (str(report.data.report_id), None, None)


async def test_a_dead_report_still_is_a_report_and_a_dead_failure_a_failure(
    user: MakeUser, case: Case, working: Working
) -> None:
    report = report_created(tenant=case.tenant, instance_id=case.instance_id)
    async with working():
        await case.bury(inference_failed(tenant=case.tenant, instance_id=case.instance_id), reason="x_y")
        assert (await case.becomes("failed"))["reason"] == "undecodable_pixels"
        await case.bury(report, reason="x_y")
        assert (await case.becomes("reported"))["report_id"] == str(report.data.report_id)


async def test_every_batch_that_holds_an_image_shows_its_end(
    user: MakeUser, js: JetStreamContext, working: Working
) -> None:
    tenant, content = new_tenant(), dicom_file()
    doctor = user(tenant)
    first, second = await doctor.open_batch(), await doctor.open_batch()
    (accepted,) = (await doctor.upload(first, {"a.dcm": content}, close=True))["accepted"]
    await doctor.upload(second, {"b.dcm": content}, close=True)
    async with working():
        await Publisher(js).publish(report_created(tenant=tenant, instance_id=UUID(accepted["instance_id"])))
        for batch_id in (first, second):
            await doctor.wait_for(batch_id, lambda batch: batch["state"] == "done")


async def test_the_stream_gives_the_present_state_each_change_and_the_end(case: Case, working: Working) -> None:
    async with working(), asyncio.timeout(20), case.doctor.events(case.batch_id) as stream:
        name, batch = await anext(stream)
        assert (name, batch) == ("progress", await case.doctor.batch(case.batch_id))
        await case.say(started(case.tenant, case.instance_id))
        assert (await anext(stream))[1]["counts"]["processing"] == 1
        await case.doctor.call("POST", f"/{case.batch_id}/close")
        name, batch = await anext(stream)
        assert (name, batch["state"]) == ("progress", "processing")
        await case.say(report_created(tenant=case.tenant, instance_id=case.instance_id))
        (name, batch), (last_name, last) = await anext(stream), await anext(stream)
        assert (name, last_name, batch) == ("progress", "done", last)
        assert (batch["state"], batch["counts"]["reported"]) == ("done", 1)
        assert [event async for event in stream] == []


async def test_a_batch_that_is_done_is_told_at_once(user: MakeUser) -> None:
    doctor = user(new_tenant())
    batch_id = await doctor.open_batch()
    await doctor.upload(batch_id, {"a.dcm": b"no"}, close=True)
    async with asyncio.timeout(5), doctor.events(batch_id) as stream:
        assert [name async for name, _ in stream] == ["progress", "done"]


async def test_the_stream_survives_the_loss_of_its_database_connection(
    case: Case, working: Working, infra: Infrastructure
) -> None:
    async with working(), asyncio.timeout(30), case.doctor.events(case.batch_id) as stream:
        await anext(stream)
        await _terminate_listeners(infra.postgres_admin_url)
        await case.say(started(case.tenant, case.instance_id))
        assert (await anext(stream))[1]["counts"]["processing"] == 1


async def _terminate_listeners(admin_url: str) -> None:
    admin = await asyncpg.connect(admin_url)
    try:
        query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN %ingest_batch%'"
        assert await admin.fetchval(query) >= 1
    finally:
        await admin.close()
