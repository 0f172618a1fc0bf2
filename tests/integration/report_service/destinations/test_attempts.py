"""Whatever a destination answers, an event is sent until it has arrived or its time is over."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from support.couriers import Couriers
from support.destinations import Administrator
from support.receivers import Answer, Receiver


@pytest.mark.parametrize(
    "answer", [Answer(500), Answer(400), Answer(301, {"Location": "http://127.0.0.1:1/elsewhere"})]
)
async def test_whatever_is_no_2xx_is_tried_again_and_no_redirect_is_followed(
    couriers: Couriers,
    boss: Administrator,
    receiver: Receiver,
    answer: Answer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    destination = await boss.create(receiver.url)
    seen = threading.Event()
    receiver.answer = lambda _: answer if len(receiver.received) < 2 else Answer(204, silent_until=seen)
    event_id = await boss.test(destination)
    async with couriers.at_work():
        failed = await boss.until_tried(destination)
        seen.set()
        (delivered,) = await boss.until(destination, "delivered")
    assert (failed["last_status"], failed["last_reason"]) == (answer.status, "refused")
    assert receiver.ids() == [event_id] * 3, "the same event each time"
    assert {each.path for each in receiver.received} == {"/events"}
    assert (delivered["attempts"], delivered["last_status"], delivered["last_reason"]) == (3, 204, None)
    one = destination["destination_id"]
    logged = [str(vars(each)) for each in caplog.records if one in str(vars(each))]
    assert len(logged) == 2, "each attempt that failed"
    assert not [each for each in logged if receiver.url in each or destination["secret"] in each or "RIS" in each]


async def test_an_answer_that_never_comes_and_one_without_end_end_in_time(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    silent = threading.Event()
    receiver.answer = lambda _: Answer(endless=True) if receiver.received else Answer(silent_until=silent)
    await boss.test(destination)
    async with couriers.at_work(timeout_s=2.0, first_pause_s=20.0):
        found = await boss.until_tried(destination)
        silent.set()
        assert found["last_reason"] == "timeout"
        await couriers.change(
            boss.tenant,
            "WITH due AS (UPDATE report.deliveries SET due_at = now())"
            " UPDATE report.destinations SET rests_until = NULL",
        )
        await boss.until(destination, "delivered")


async def test_a_destination_that_asks_for_time_gets_it(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    receiver.answer = lambda _: Answer(503, {"Retry-After": "3600"})
    await boss.test(destination)
    async with couriers.at_work():
        found = await boss.until_tried(destination)
    due_at = datetime.fromisoformat(found["due_at"])
    assert timedelta(minutes=50) < due_at - datetime.now(UTC) <= timedelta(hours=1)
    await boss.test(destination)
    ready = await couriers.queue.ready(datetime.now(UTC) + timedelta(minutes=50))
    assert boss.tenant not in {each.tenant for each in ready}, "what comes later waits too"


async def test_a_destination_that_is_gone_is_paused_until_somebody_resumes_it(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    receiver.answer = lambda _: Answer(410)
    await boss.test(destination)
    async with couriers.at_work():
        async with asyncio.timeout(20):
            while not (found := (await boss.get(destination))[0])["paused"]:
                await asyncio.sleep(0.01)
        assert found["pause_reason"] == "gone"
        again = await boss.call("POST", f"/{destination['destination_id']}/test")
        assert (again.status_code, again.json()["code"]) == (409, "destination_paused")
        receiver.answer = lambda _: Answer()
        await boss.change(destination, paused=False)
        await boss.until(destination, "delivered")


async def test_what_was_not_sent_in_time_is_given_up_and_can_be_sent_again(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    event_id = await boss.test(destination)
    path = f"/{destination['destination_id']}/deliveries/{event_id}/redeliver"
    early = await boss.call("POST", path)
    assert (early.status_code, early.json()["code"]) == (409, "delivery_not_failed")
    await couriers.queue.give_up(datetime.now(UTC) + timedelta(days=4))
    (failed,) = await boss.until(destination, "failed")
    assert failed["last_reason"] == "not_sent_in_time"
    assert (await boss.call("POST", path)).status_code == 202
    async with couriers.at_work():
        await boss.until(destination, "delivered")
    assert receiver.ids() == [event_id]


async def test_an_event_is_given_up_when_the_next_attempt_would_be_too_late(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    receiver.answer = lambda _: Answer(503, {"Retry-After": "86400"})
    await boss.test(destination)
    await couriers.change(boss.tenant, "UPDATE report.deliveries SET expires_at = now() + interval '1 hour'")
    async with couriers.at_work():
        (failed,) = await boss.until(destination, "failed")
    assert (failed["last_status"], failed["attempts"]) == (503, 1)
