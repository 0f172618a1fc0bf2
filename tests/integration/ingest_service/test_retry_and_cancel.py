"""Sending failed images again and cancelling those that wait, on the real database and broker."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID, uuid4

import pytest
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from sqlalchemy import text

from ingest_service.domain.lifecycle import MAY_PASS
from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Event, InstanceStored, Urgency, parse_event
from radrelay_shared.messaging import Cancellations, Publisher, durables, subject_of
from support.dicom_files import dicom_file
from support.events import inference_completed, inference_failed, instance_stored, report_created
from support.ingest_api import IngestUser
from support.ingest_case import Case, applied, started
from support.tenants import new_tenant

MakeUser = Callable[..., IngestUser]
Working = Callable[..., AbstractAsyncContextManager[None]]


def failure(case: Case, *, reason: str = "retries_exhausted", submission: int = 1) -> Event[Any]:
    return inference_failed(tenant=case.tenant, instance_id=case.instance_id, reason=reason, submission=submission)


async def retry(who: IngestUser, batch_id: str) -> dict[str, Any]:
    response = await who.call("POST", f"/{batch_id}/retry")
    assert response.status_code == 200, response.text
    content: dict[str, Any] = response.json()
    return content


async def cancel(who: IngestUser, batch_id: str) -> dict[str, Any]:
    response = await who.call("POST", f"/{batch_id}/cancel")
    assert response.status_code == 200, response.text
    content: dict[str, Any] = response.json()
    return content


async def announced(js: JetStreamContext, tenant: str, submission: int) -> Event[InstanceStored]:
    """The announcement of the tenant's only image, once it is of this submission."""
    subject = subject_of(InstanceStored, tenant=tenant, lane=Urgency.ROUTINE)
    async with asyncio.timeout(20):
        while True:
            try:
                event = parse_event((await js.get_last_msg(durables.INSTANCES.name, subject)).data or b"")
            except NotFoundError:
                event = None
            if event is not None and event.data.submission == submission:
                return event
            await asyncio.sleep(0.02)


READS = {"batch.read", "batch.watched", "batches.listed", "files.listed"}


async def audited(database: Database, tenant: str) -> list[str]:
    """What was done, without who looked."""
    async with database.transaction(Scope.service(tenant)) as session:
        rows = await session.scalars(text("SELECT action FROM ingest.audit WHERE actor = 'dr-a' ORDER BY sequence"))
        return [action for action in rows if action not in READS]


async def test_a_retried_image_is_announced_again_and_ends_with_its_report(
    case: Case, working: Working, js: JetStreamContext, database: Database
) -> None:
    async with working():
        first = await announced(js, case.tenant, 1)
        await case.say(failure(case))
        await case.becomes("failed")
        answer = await retry(case.doctor, case.batch_id)
        assert (answer["retried"], answer["batch"]["counts"]["queued"]) == (1, 1)
        file = await case.file()
        assert (file["status"], file["reason"], file["detail"]) == ("queued", None, None)
        second = await announced(js, case.tenant, 2)
        assert second.id != first.id
        assert second.data == first.data.model_copy(update={"submission": 2})
        await case.say(started(case.tenant, case.instance_id, submission=2))
        await case.becomes("processing")
        await case.say(report_created(tenant=case.tenant, instance_id=case.instance_id))
        await case.becomes("reported")
    assert await audited(database, case.tenant) == ["batch.created", "file.accepted", "batch.retried"]
    assert (await retry(case.doctor, case.batch_id))["retried"] == 0


async def test_the_same_failure_of_a_retried_image_is_seen_again(case: Case, working: Working) -> None:
    async with working():
        await case.say(failure(case))
        await case.becomes("failed")
        await retry(case.doctor, case.batch_id)
        await case.say(failure(case, submission=2))
        assert (await case.becomes("failed"))["reason"] == "retries_exhausted"
        assert (await retry(case.doctor, case.batch_id))["retried"] == 1


async def test_what_comes_late_of_a_former_submission_changes_nothing_but_its_report_counts(
    case: Case, working: Working, database: Database
) -> None:
    late = [started(case.tenant, case.instance_id), failure(case, reason="decoder_timeout")]
    dead = [make(tenant=case.tenant, instance_id=case.instance_id) for make in (instance_stored, inference_completed)]
    async with working():
        await case.say(failure(case))
        await case.becomes("failed")
        await retry(case.doctor, case.batch_id)
        await case.say(*late)
        for event in dead:
            await case.bury(event, reason="retries_exhausted")
        for event in (*late, *dead):
            await applied(database, event)
        assert (await case.file())["status"] == "queued"
        await case.say(report_created(tenant=case.tenant, instance_id=case.instance_id))
        await case.becomes("reported")


@pytest.mark.parametrize("reason", ["not_dicom", "undecodable_pixel_data", "model_not_finite", "invalid_event"])
async def test_a_failure_that_is_of_the_image_itself_is_not_tried_again(
    case: Case, working: Working, reason: str
) -> None:
    async with working():
        await case.say(failure(case, reason=reason))
        before = await case.becomes("failed")
    answer = await retry(case.doctor, case.batch_id)
    assert (answer["retried"], answer["batch"]["counts"]["failed"]) == (0, 1)
    assert await case.file() == before


async def test_every_failure_that_may_pass_is_tried_again(case: Case, working: Working) -> None:
    async with working():
        for submission, reason in enumerate(sorted(MAY_PASS), start=1):
            await case.say(failure(case, reason=reason, submission=submission))
            assert (await case.becomes("failed"))["reason"] == reason
            assert (await retry(case.doctor, case.batch_id))["retried"] == 1


async def test_a_batch_that_was_done_is_watched_to_its_end_again_after_a_retry(case: Case, working: Working) -> None:
    async with working():
        await case.doctor.call("POST", f"/{case.batch_id}/close")
        await case.say(failure(case))
        await case.doctor.wait_for(case.batch_id, lambda batch: batch["state"] == "done")
        assert (await retry(case.doctor, case.batch_id))["batch"]["state"] == "processing"
        async with asyncio.timeout(20), case.doctor.events(case.batch_id) as stream:
            assert (await anext(stream))[1]["counts"]["queued"] == 1
            await case.say(failure(case, submission=2))
            assert [name async for name, _ in stream][-1] == "done"


async def test_cancelling_ends_what_waits_and_tells_the_workers(
    case: Case, working: Working, js: JetStreamContext, database: Database
) -> None:
    cancellations = Cancellations(js)
    async with working(), asyncio.timeout(20), case.doctor.events(case.batch_id) as stream:
        await anext(stream)
        batch = await cancel(case.doctor, case.batch_id)
        assert (batch["state"], batch["counts"]["cancelled"], batch["counts"]["queued"]) == ("done", 1, 0)
        assert [name async for name, _ in stream][-1] == "done"
        while not await cancellations.holds(case.tenant, case.instance_id, 1):
            await asyncio.sleep(0.02)
        assert not await cancellations.holds(case.tenant, case.instance_id, 2)
        assert not await cancellations.holds(case.tenant, uuid4(), 1)
        assert not await cancellations.holds(new_tenant(), case.instance_id, 1)
    assert (await case.file())["status"] == "cancelled"
    assert (await case.doctor.send(case.batch_id, {"b.dcm": dicom_file()})).status_code == 409
    assert await cancel(case.doctor, case.batch_id) == batch
    acts = ["batch.created", "file.accepted", "batch.closed", "batch.cancelled"]
    assert await audited(database, case.tenant) == acts


async def test_what_is_in_work_finishes_after_a_cancel(case: Case, working: Working) -> None:
    async with working():
        await case.say(started(case.tenant, case.instance_id))
        await case.becomes("processing")
        batch = await cancel(case.doctor, case.batch_id)
        assert (batch["state"], batch["counts"]["processing"]) == ("processing", 1)
        await case.say(report_created(tenant=case.tenant, instance_id=case.instance_id))
        await case.becomes("reported")


async def test_after_a_cancel_a_late_start_or_failure_changes_nothing_and_a_report_still_counts(
    case: Case, working: Working, database: Database
) -> None:
    late = [started(case.tenant, case.instance_id), failure(case)]
    await cancel(case.doctor, case.batch_id)
    async with working():
        await case.say(*late)
        for event in late:
            await applied(database, event)
        file = await case.file()
        assert (file["status"], file["reason"]) == ("cancelled", None)
        await case.say(report_created(tenant=case.tenant, instance_id=case.instance_id))
        assert (await case.becomes("reported"))["report_id"]


async def test_a_cancelled_image_may_be_retried(case: Case, working: Working, js: JetStreamContext) -> None:
    await cancel(case.doctor, case.batch_id)
    answer = await retry(case.doctor, case.batch_id)
    assert (answer["retried"], answer["batch"]["state"], answer["batch"]["counts"]["queued"]) == (1, "processing", 1)
    async with working():
        await announced(js, case.tenant, 2)


async def test_an_image_that_another_batch_waits_for_goes_on_there(
    user: MakeUser, working: Working, js: JetStreamContext
) -> None:
    tenant, content = new_tenant(), dicom_file()
    doctor = user(tenant)
    first, second = await doctor.open_batch(), await doctor.open_batch()
    (accepted,) = (await doctor.upload(first, {"a.dcm": content}))["accepted"]
    await doctor.upload(second, {"b.dcm": content}, close=True)
    assert (await cancel(doctor, first))["counts"]["cancelled"] == 1
    assert (await doctor.batch(second))["counts"]["queued"] == 1
    instance_id = UUID(accepted["instance_id"])
    async with working():
        await Publisher(js).publish(started(tenant, instance_id))
        await doctor.wait_for(second, lambda batch: batch["counts"]["processing"] == 1)
        assert (await doctor.batch(first))["counts"]["cancelled"] == 1
        await Publisher(js).publish(report_created(tenant=tenant, instance_id=instance_id))
        await doctor.wait_for(second, lambda batch: batch["counts"]["reported"] == 1)
        assert (await doctor.batch(first))["counts"]["reported"] == 1
    assert not await Cancellations(js).holds(tenant, instance_id, 1)


async def test_an_image_is_cancelled_with_the_last_batch_that_waits_for_it_and_each_brings_back_its_own(
    user: MakeUser,
) -> None:
    content, doctor = dicom_file(), user(new_tenant())
    first, second = await doctor.open_batch(), await doctor.open_batch()
    await doctor.upload(first, {"a.dcm": content})
    await doctor.upload(second, {"b.dcm": content})
    await cancel(doctor, first)
    await cancel(doctor, second)
    assert (await retry(doctor, second))["retried"] == 1
    assert (await doctor.batch(second))["counts"]["queued"] == 1
    assert (await doctor.batch(first))["counts"]["cancelled"] == 1
    assert (await retry(doctor, first))["batch"]["counts"]["queued"] == 1


async def test_sending_a_cancelled_image_again_has_it_screened(
    user: MakeUser, working: Working, js: JetStreamContext
) -> None:
    tenant, content = new_tenant(), dicom_file()
    doctor = user(tenant)
    first, second = await doctor.open_batch(), await doctor.open_batch()
    await doctor.upload(first, {"a.dcm": content})
    await cancel(doctor, first)
    (accepted,) = (await doctor.upload(second, {"a.dcm": content}))["accepted"]
    assert accepted["repeated"]
    assert (await doctor.batch(second))["counts"]["queued"] == 1
    async with working():
        await announced(js, tenant, 2)


async def test_many_images_are_cancelled_and_brought_back_completely(
    user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest_service.handlers.cancelling._AT_ONCE", 2)
    monkeypatch.setattr("ingest_service.handlers.retrying._AT_ONCE", 2)
    doctor = user(new_tenant())
    batch_id = await doctor.open_batch()
    await doctor.upload(batch_id, {f"{n}.dcm": dicom_file() for n in range(5)} | {"bad.dcm": b"no"})
    counts = (await cancel(doctor, batch_id))["counts"]
    assert (counts["cancelled"], counts["rejected"], counts["received"]) == (5, 1, 6)
    assert (await retry(doctor, batch_id))["retried"] == 5


async def test_a_cancel_and_a_repeated_upload_at_once_leave_nothing_that_nobody_screens(user: MakeUser) -> None:
    """Whichever is first: the batch that sent the image last waits for it, or has it announced again."""
    doctor = user(new_tenant())
    for _ in range(5):
        content = dicom_file()
        first, second = await doctor.open_batch(), await doctor.open_batch()
        await doctor.upload(first, {"a.dcm": content})
        await asyncio.gather(cancel(doctor, first), doctor.upload(second, {"a.dcm": content}))
        assert (await doctor.batch(second))["counts"]["queued"] == 1
        assert (await doctor.batch(first))["counts"]["cancelled"] == 1
