"""Nothing is lost and nobody is held up, whatever becomes of workers and of other destinations."""

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta

from report_service.settings import ReportSettings
from support.containers import free_port
from support.couriers import Couriers
from support.destinations import Administrator
from support.ingest_processes import running, values_of
from support.receivers import Answer, Receiver, receiving_events


def worker_environment(settings: ReportSettings, *, timeout_s: float) -> dict[str, str]:
    """What a worker process reads that does as these settings say."""
    chosen = settings.destinations
    values = values_of(settings) | {
        "HEALTH_PORT": str(free_port()),
        "DESTINATIONS__HOSTS": json.dumps(chosen.hosts),
        "DESTINATIONS__SEALING": json.dumps([each.get_secret_value() for each in chosen.sealing]),
        "DESTINATIONS__TIMEOUT_S": str(timeout_s),
    }
    return {f"RADRELAY_REPORT_{name}": value for name, value in values.items()}


async def test_neither_a_dead_destination_nor_a_silent_one_holds_up_the_others(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    """Twenty events wait for each of both, and there is less room than that in all."""
    silent = threading.Event()
    with receiving_events() as mute:
        mute.answer = lambda _: Answer(silent_until=silent)
        bad = [await boss.create(mute.url, name="mute"), await boss.create("http://127.0.0.1:1/", name="dead")]
        good = await boss.create(receiver.url)
        for _ in range(20):
            for each in bad:
                await boss.test(each)
        async with couriers.at_work(timeout_s=60, at_once=8):
            async with asyncio.timeout(20):
                while len(mute.received) < 4:
                    await asyncio.sleep(0.01)
            events = [await boss.test(good) for _ in range(20)]
            await boss.until(good, "delivered", 20)
            assert len(mute.received) == 4, "it has its share of the room, and keeps it"
            silent.set()
    assert sorted(receiver.ids()) == sorted(events)


async def test_a_worker_that_dies_between_answer_and_note_loses_nothing(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    event_id = await boss.test(destination)
    now = datetime.now(UTC)
    (ready,) = [each for each in await couriers.queue.ready(now) if each.tenant == boss.tenant]
    later = now + timedelta(seconds=2)
    (parcel,) = await couriers.queue.claim(ready, now, later, 10)
    async with couriers.at_work() as carrier:
        await carrier.send(parcel)  # and then that worker dies
        assert await couriers.queue.claim(ready, now, later, 10) == [], "while the claim lasts nobody else sends it"
        (delivered,) = await boss.until(destination, "delivered")
    assert delivered["attempts"] == 2
    assert receiver.ids() == [event_id] * 2
    assert len({each.body for each in receiver.received}) == 1


async def test_what_a_killed_worker_had_in_hand_is_sent_by_the_next(
    delivering: ReportSettings, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    silent = threading.Event()
    receiver.answer = lambda _: Answer() if receiver.received else Answer(silent_until=silent)
    event_id = await boss.test(destination)
    environment = worker_environment(delivering, timeout_s=1.0)
    async with running("report_service.worker", env=environment) as worker:
        async with asyncio.timeout(60):
            while not receiver.received:
                await asyncio.sleep(0.02)
        worker.kill()
        await worker.wait()
    silent.set()
    assert (await boss.deliveries(destination))[0]["state"] == "pending"
    async with running("report_service.worker", env=environment):
        await boss.until(destination, "delivered")
    assert receiver.ids() == [event_id] * 2


async def test_two_workers_side_by_side_send_each_event_once(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    events = [await boss.test(destination) for _ in range(30)]
    async with couriers.at_work(), couriers.at_work():
        await boss.until(destination, "delivered", 30)
    assert sorted(receiver.ids()) == sorted(events)
