"""The delivery rules on a real JetStream."""

import asyncio
from collections import Counter

import pytest
from nats.js import JetStreamContext

from radrelay_shared.events import Event, InstanceStored, Urgency
from radrelay_shared.messaging import (
    Consumer,
    Delivery,
    Durable,
    NatsSettings,
    Poison,
    Publisher,
    durables,
    ensure_topology,
)
from support.consuming import consuming, eventually
from support.events import instance_stored
from support.lanes import lane
from support.tenants import new_tenant


def stored(tenant: str, priority: Urgency = Urgency.ROUTINE) -> Event[InstanceStored]:
    return instance_stored(tenant=tenant, priority=priority)


async def test_the_topology_can_be_ensured_again_and_by_many_at_once(js: JetStreamContext) -> None:
    limits = NatsSettings().streams
    await asyncio.gather(*(ensure_topology(js, limits) for _ in range(4)))
    assert {s.config.name for s in await js.streams_info()} >= {s.name for s in durables.STREAMS}


async def test_every_event_arrives_once_and_is_acknowledged(js: JetStreamContext) -> None:
    tenant = new_tenant()
    durable = await lane(js, tenant, Urgency.ROUTINE)
    events = [stored(tenant) for _ in range(50)]
    await asyncio.gather(*(Publisher(js).publish(event) for event in events))
    seen: Counter[str] = Counter()

    async def handle(delivery: Delivery) -> None:
        seen[delivery.event.id] += 1

    async with consuming(Consumer(js, durable, handle, max_in_flight=8)):
        await eventually(lambda: len(seen) == 50)
    assert set(seen.values()) == {1}
    info = await js.consumer_info(durable.stream.name, durable.name)
    assert (info.num_pending, info.num_ack_pending) == (0, 0)


async def test_a_message_that_comes_while_the_consumer_waits_is_handled_at_once(js: JetStreamContext) -> None:
    tenant = new_tenant()
    durable = await lane(js, tenant, Urgency.ROUTINE)
    arrived = asyncio.Event()

    async def handle(_: Delivery) -> None:
        arrived.set()

    async with consuming(Consumer(js, durable, handle)):
        await eventually_lingering(js, durable)
        await Publisher(js).publish(stored(tenant))
        async with asyncio.timeout(2):
            await arrived.wait()


async def eventually_lingering(js: JetStreamContext, durable: Durable) -> None:
    async with asyncio.timeout(10):
        while not (await js.consumer_info(durable.stream.name, durable.name)).num_waiting:
            await asyncio.sleep(0.01)


async def test_the_bound_on_work_in_flight_holds(js: JetStreamContext) -> None:
    tenant = new_tenant()
    durable = await lane(js, tenant, Urgency.ROUTINE)
    await asyncio.gather(*(Publisher(js).publish(stored(tenant)) for _ in range(30)))
    running, most, done = 0, 0, 0

    async def handle(_: Delivery) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        done += 1

    async with consuming(Consumer(js, durable, handle, max_in_flight=4)):
        await eventually(lambda: done == 30)
    assert most == 4


async def test_stat_goes_before_urgent_before_routine(js: JetStreamContext) -> None:
    tenant = new_tenant()
    lanes = [await lane(js, tenant, urgency) for urgency in Urgency]
    for urgency in reversed(Urgency):
        for _ in range(5):
            await Publisher(js).publish(stored(tenant, urgency))
    order: list[Urgency] = []

    async def handle(delivery: Delivery) -> None:
        order.append(delivery.event.data.priority)

    async with consuming(Consumer(js, lanes, handle, max_in_flight=1)):
        await eventually(lambda: len(order) == 15)
    assert order == [urgency for urgency in Urgency for _ in range(5)]


async def test_a_transient_fault_is_tried_again(js: JetStreamContext) -> None:
    tenant = new_tenant()
    durable = await lane(js, tenant, Urgency.ROUTINE)
    await Publisher(js).publish(stored(tenant))
    attempts: list[int] = []

    async def handle(delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        if delivery.attempt == 1:
            raise ConnectionError("away for a moment")

    async with consuming(Consumer(js, durable, handle)):
        await eventually(lambda: len(attempts) == 2)
    assert attempts == [1, 2]


async def dead_letters(js: JetStreamContext, tenant: str) -> list[tuple[bytes, dict[str, str]]]:
    subject = f"radrelay.v1.{tenant}.deadletter.>"
    kept = (await js.stream_info(durables.DEAD_LETTERS.name, subjects_filter=subject)).state.subjects or {}
    subscription = await js.subscribe(subject, ordered_consumer=True)
    messages = [await subscription.next_msg(timeout=5) for _ in range(sum(kept.values()))]
    await subscription.unsubscribe()
    return [(message.data, dict(message.headers or {})) for message in messages]


async def test_poison_becomes_a_dead_letter_with_its_reason_and_its_neighbours_go_on(js: JetStreamContext) -> None:
    tenant = new_tenant()
    durable = await lane(js, tenant, Urgency.ROUTINE)
    good, bad = stored(tenant), stored(tenant)
    for event in (bad, good):
        await Publisher(js).publish(event)
    handled: list[str] = []

    async def handle(delivery: Delivery) -> None:
        handled.append(delivery.event.id)
        if delivery.event.id == bad.id:
            raise Poison("cannot_be", "line one\nline two")

    async with consuming(Consumer(js, durable, handle)):
        await eventually(lambda: len(handled) == 2)
    [(payload, headers)] = await dead_letters(js, tenant)
    assert payload == bad.to_json()
    assert headers["Radrelay-Reason"] == "cannot_be"
    assert headers["Radrelay-Detail"] == "line one line two"
    assert headers["Radrelay-Subject"] == f"radrelay.v1.{tenant}.instance.stored.routine"


async def test_an_unreadable_payload_and_a_foreign_tenant_are_dead_letters(js: JetStreamContext) -> None:
    tenant = new_tenant()
    durable = await lane(js, tenant, Urgency.ROUTINE)
    subject = f"radrelay.v1.{tenant}.instance.stored.routine"
    for payload in (b"{not json", stored("another-tenant").to_json()):
        await js.publish(subject, payload)
    reasons: list[str] = []

    async def handle(_: Delivery) -> None:
        pytest.fail("neither may reach the handler")

    async with consuming(Consumer(js, durable, handle)):
        async with asyncio.timeout(20):
            while len(reasons) < 2:
                reasons = [headers["Radrelay-Reason"] for _, headers in await dead_letters(js, tenant)]
    assert sorted(reasons) == ["invalid_event", "tenant_mismatch"]


async def test_the_last_attempt_tells_the_owner_and_leaves_a_dead_letter(js: JetStreamContext) -> None:
    tenant = new_tenant()
    durable = await lane(js, tenant, Urgency.ROUTINE)
    await Publisher(js).publish(stored(tenant))
    told: list[tuple[int, str]] = []

    async def handle(_: Delivery) -> None:
        raise ConnectionError("away for good")

    async def on_exhausted(delivery: Delivery, reason: str) -> None:
        told.append((delivery.attempt, reason))

    async with consuming(Consumer(js, durable, handle, on_exhausted=on_exhausted)):
        await eventually(lambda: bool(told))
    assert told == [(3, "ConnectionError")]
    [(_, headers)] = await dead_letters(js, tenant)
    assert headers["Radrelay-Reason"] == "retries_exhausted"


async def test_work_longer_than_the_ack_wait_is_not_delivered_again(js: JetStreamContext) -> None:
    tenant = new_tenant()
    durable = await lane(js, tenant, Urgency.ROUTINE, ack_wait_s=1.5)
    await Publisher(js).publish(stored(tenant))
    attempts: list[int] = []
    finished = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        await asyncio.sleep(3.5)  # the length of the work is what is tested
        finished.set()

    async with consuming(Consumer(js, durable, handle)):
        async with asyncio.timeout(10):
            await finished.wait()
    assert attempts == [1]


async def test_stopping_finishes_what_is_in_hand_and_leaves_the_rest(js: JetStreamContext) -> None:
    tenant = new_tenant()
    durable = await lane(js, tenant, Urgency.ROUTINE)
    for _ in range(5):
        await Publisher(js).publish(stored(tenant))
    started, release = asyncio.Event(), asyncio.Event()
    finished: list[str] = []

    async def handle(delivery: Delivery) -> None:
        started.set()
        await release.wait()
        finished.append(delivery.event.id)

    stop = asyncio.Event()
    run = asyncio.create_task(Consumer(js, durable, handle, max_in_flight=2).run(stop))
    await started.wait()
    stop.set()
    release.set()
    await run
    info = await js.consumer_info(durable.stream.name, durable.name)
    assert len(finished) == 2
    assert (info.num_pending, info.num_ack_pending) == (3, 0)


async def test_the_same_event_published_twice_is_stored_once(js: JetStreamContext) -> None:
    tenant = new_tenant()
    event = stored(tenant)
    for _ in range(2):
        await Publisher(js).publish(event)
    durable = await lane(js, tenant, Urgency.ROUTINE)
    assert (await js.consumer_info(durable.stream.name, durable.name)).num_pending == 1


async def test_a_full_consumer_sleeps_while_its_lanes_linger(
    js: JetStreamContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radrelay_shared.messaging.pulling._LINGER_S", 0.2)
    tenant = new_tenant()
    lanes = [await lane(js, tenant, urgency) for urgency in Urgency]
    started, release = asyncio.Event(), asyncio.Event()

    async def handle(_: Delivery) -> None:
        started.set()
        await release.wait()

    consumer = Consumer(js, lanes, handle, max_in_flight=1)
    rounds = 0
    take = consumer._take

    async def counted() -> bool:
        nonlocal rounds
        rounds += 1
        return await take()

    monkeypatch.setattr(consumer, "_take", counted)
    async with consuming(consumer):
        for each in lanes:
            await eventually_lingering(js, each)
        await Publisher(js).publish(stored(tenant))
        await started.wait()
        before = rounds
        await asyncio.sleep(1.0)  # several lingering requests end in this time, and none may make the loop spin
        release.set()
    assert rounds - before < 20
