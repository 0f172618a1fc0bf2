"""Tenants take turns in a lane, on a real JetStream and on a stream of each test's own."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from radrelay_local.stack import start_infrastructure
from radrelay_shared.events import Urgency
from radrelay_shared.messaging import Consumer, Delivery, LaneFamily, NatsSettings, Publisher, PublishError, connect
from radrelay_shared.messaging.pulling import ConsumerMissing
from radrelay_shared.messaging.tenants import tenants_in_stream
from radrelay_shared.messaging.topology import Stream
from support.consuming import consuming, eventually
from support.events import instance_stored


@dataclass
class Site:
    """Lanes that no other test knows."""

    js: JetStreamContext
    root: str = field(default_factory=lambda: f"t{uuid4().hex[:8]}")

    @property
    def lanes(self) -> list[LaneFamily]:
        stream = Stream(self.root, (f"{self.root}.>",))
        return [LaneFamily(f"{self.root}-{u}", stream, f"{self.root}.v1.*.stored.{u}") for u in Urgency]

    async def send(self, tenant: str, count: int = 1, priority: Urgency = Urgency.ROUTINE) -> None:
        publisher = Publisher(self.js)
        for _ in range(count):
            event = instance_stored(tenant=tenant, priority=priority)
            subject = f"{self.root}.v1.{tenant}.stored.{priority}"
            await publisher.publish_raw(subject, event.to_json(), message_id=event.id, headers={})

    async def in_hand(self) -> int:
        infos = await self.js.consumers_info(self.root)
        return sum(info.num_ack_pending or 0 for info in infos)


async def make_site(js: JetStreamContext) -> Site:
    site = Site(js)
    await js.add_stream(StreamConfig(name=site.root, subjects=[f"{site.root}.>"]))
    return site


@pytest.fixture
async def site(js: JetStreamContext) -> AsyncIterator[Site]:
    site = await make_site(js)
    yield site
    await js.delete_stream(site.root)


@dataclass
class Handler:
    """Remembers whom it handled; holds each message until it is let go."""

    handled: list[tuple[str, Urgency]] = field(default_factory=list)
    started: list[tuple[str, Urgency]] = field(default_factory=list)
    permits: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def __call__(self, delivery: Delivery) -> None:
        case = (delivery.tenant, delivery.event.data.priority)
        self.started.append(case)
        async with asyncio.timeout(60):
            await self.permits.acquire()
        self.handled.append(case)

    def let_go(self, count: int = 1) -> None:
        for _ in range(count):
            self.permits.release()

    @property
    def order(self) -> list[str]:
        return [tenant for tenant, _ in self.started]


async def test_a_tenant_with_many_and_one_with_few_alternate(site: Site) -> None:
    handler = Handler()
    async with consuming(Consumer(site.js, site.lanes, handler, max_in_flight=1)):
        # The worker knows both, and has its one hand full, before they send what they are to take turns for.
        for tenant in ("many", "few", "other"):
            await site.send(tenant)
        handler.let_go(2)
        await eventually(lambda: len(handler.started) == 3)
        await site.send("many", 100)
        await site.send("few", 4)
        handler.let_go(200)
        await eventually(lambda: len(handler.handled) == 107)
    turns = handler.order[3:11]
    assert all(set(pair) == {"many", "few"} for pair in zip(turns[::2], turns[1::2], strict=True))
    assert Counter(handler.order) == {"many": 101, "few": 5, "other": 1}


async def test_a_stat_message_overtakes_all_that_is_not_in_hand(site: Site) -> None:
    await site.send("many", 50)
    handler = Handler()
    async with consuming(Consumer(site.js, site.lanes, handler, max_in_flight=4)):
        await eventually(lambda: len(handler.started) == 4)
        await site.send("other", priority=Urgency.STAT)
        await lane_known(site, Urgency.STAT, "other")
        handler.let_go()
        await eventually(lambda: len(handler.started) == 5)
        handler.let_go(100)
        await eventually(lambda: len(handler.handled) == 51)
    assert handler.started[4] == ("other", Urgency.STAT)


async def lane_known(site: Site, urgency: Urgency, tenant: str) -> None:
    """Wait until the worker has made the tenant's durable."""
    (lane,) = (lane for lane in site.lanes if lane.name.endswith(urgency))
    async with asyncio.timeout(20):
        while lane.durable(tenant).name not in {info.name for info in await site.js.consumers_info(site.root)}:
            await asyncio.sleep(0.01)


async def test_the_bound_holds_when_many_idle_tenants_send_at_once(site: Site) -> None:
    tenants = [f"t{number}" for number in range(12)]
    handler = Handler()
    async with consuming(Consumer(site.js, site.lanes, handler, max_in_flight=3)):
        await asyncio.gather(*(site.send(tenant) for tenant in tenants))
        handler.let_go(12)
        await eventually(lambda: len(handler.handled) == 12)
        # Now every one of them is known, and empty.
        await asyncio.gather(*(site.send(tenant) for tenant in tenants))
        await eventually(lambda: len(handler.started) == 15)
        assert await site.in_hand() == 3
        handler.let_go(12)
        await eventually(lambda: len(handler.handled) == 24)
    assert Counter(handler.order) == dict.fromkeys(tenants, 2)


async def test_a_tenant_that_appears_while_the_worker_runs_is_heard_of(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find_nobody(*_: object) -> set[str]:
        return set()

    await site.send("first")
    handler = Handler()
    handler.let_go(100)
    async with consuming(Consumer(site.js, site.lanes, handler)):
        await eventually(lambda: len(handler.handled) == 1)
        monkeypatch.setattr("radrelay_shared.messaging.tenants.tenants_in_stream", find_nobody)
        await site.send("second", priority=Urgency.URGENT)
        await eventually(lambda: ("second", Urgency.URGENT) in handler.handled)


async def test_a_tenant_of_which_nobody_heard_is_found_by_a_survey(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hear_nothing(*_: object) -> None:
        return

    monkeypatch.setattr("radrelay_shared.messaging.tenants.TenantWatch._hear", hear_nothing)
    handler = Handler()
    handler.let_go(100)
    await site.send("first")
    async with consuming(Consumer(site.js, site.lanes, handler)):
        await eventually(lambda: len(handler.handled) == 1)
        await site.send("second")
        await eventually(lambda: len(handler.handled) == 2)


async def test_what_is_no_tenant_hurts_nobody(site: Site) -> None:
    handler = Handler()
    handler.let_go(100)
    await site.js.publish(f"{site.root}.v1.No/Tenant.stored.routine", b"{}")
    async with consuming(Consumer(site.js, site.lanes, handler)):
        await site.js.publish(f"{site.root}.v1.No/Tenant.stored.stat", b"{}")
        await site.send("north")
        await eventually(lambda: len(handler.handled) == 1)
    assert {info.name for info in await site.js.consumers_info(site.root)} == {f"{site.root}-routine-north"}


async def test_two_workers_share_the_work_of_all_tenants(site: Site) -> None:
    for tenant in ("a", "b", "c"):
        await site.send(tenant, 20)
    handlers = Handler(), Handler()
    async with (
        consuming(Consumer(site.js, site.lanes, handlers[0], max_in_flight=4)),
        consuming(Consumer(site.js, site.lanes, handlers[1], max_in_flight=4)),
    ):
        await eventually(lambda: all(len(handler.started) == 4 for handler in handlers))
        for handler in handlers:
            handler.let_go(100)
        await eventually(lambda: sum(len(handler.handled) for handler in handlers) == 60)
    assert Counter(handlers[0].order + handlers[1].order) == {"a": 20, "b": 20, "c": 20}


async def test_a_message_that_fails_is_delivered_again_to_an_idle_worker(site: Site) -> None:
    attempts: list[int] = []

    async def handle(delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        if delivery.attempt < 3:
            raise ConnectionError("away for a moment")

    await site.send("north")
    async with consuming(Consumer(site.js, site.lanes, handle)):
        await eventually(lambda: len(attempts) == 3)
    assert attempts == [1, 2, 3]


async def test_a_deleted_durable_ends_the_consumer(site: Site) -> None:
    await site.send("north")
    handler = Handler()
    handler.let_go()
    run = asyncio.create_task(Consumer(site.js, site.lanes, handler).run(asyncio.Event()))
    await eventually(lambda: len(handler.handled) == 1)
    await site.js.delete_consumer(site.root, f"{site.root}-routine-north")
    with pytest.raises(ConsumerMissing, match="routine-north"):
        async with asyncio.timeout(20):
            await run


async def test_stopping_finishes_what_is_in_hand_and_leaves_the_rest(site: Site) -> None:
    await site.send("north", 5)
    handler = Handler()
    async with consuming(Consumer(site.js, site.lanes, handler, max_in_flight=2)) as stop:
        await eventually(lambda: len(handler.started) == 2)
        stop.set()
        handler.let_go(5)
    info = await site.js.consumer_info(site.root, f"{site.root}-routine-north")
    assert (len(handler.handled), info.num_pending, info.num_ack_pending) == (2, 3, 0)


async def test_it_ends_where_an_answer_of_the_broker_comes_together_with_the_stop(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, request = asyncio.Event(), site.js._nc.request

    async def forget_the_first_cancellation(subject: str, payload: bytes, timeout: float) -> Msg:  # noqa: ASYNC109  # the client's
        """As the client does before Python 3.12."""
        answer = await request(subject, payload, timeout=timeout)
        if not asked.is_set():
            asked.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return answer

    monkeypatch.setattr(site.js._nc, "request", forget_the_first_cancellation)
    async with asyncio.timeout(20), consuming(Consumer(site.js, site.lanes, Handler())):
        await asked.wait()


async def test_turns_go_on_after_the_broker_was_killed_and_with_a_tenant_that_came_meanwhile(tmp_path: Path) -> None:
    with start_infrastructure(tmp_path, prefer_usual_ports=False) as own:
        settings = NatsSettings(url=own.nats_url)
        async with connect(settings, name="worker") as worker, connect(settings, name="sender") as sender:
            site = await make_site(sender.jetstream())
            handler = Handler()
            handler.let_go(100)
            async with consuming(Consumer(worker.jetstream(), site.lanes, handler)):
                await site.send("before")
                await eventually(lambda: len(handler.handled) == 1)
                await asyncio.to_thread(own.kill, "nats")
                await asyncio.to_thread(own.start, "nats")
                await eventually(lambda: sender.is_connected)
                await _surely(lambda: site.send("before"))
                await _surely(lambda: site.send("after"))
                await eventually(lambda: {"before", "after"} <= set(handler.order[1:]))


async def _surely(send: Callable[[], Awaitable[None]]) -> None:
    """Send until there is a receipt."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await send()
            except PublishError:
                await asyncio.sleep(0.1)


async def test_the_tenants_of_a_stream_are_found_in_the_lane_they_are_in(site: Site) -> None:
    for tenant in ("a", "b", "c"):
        await site.send(tenant)
    assert await tenants_in_stream(site.js._nc, site.lanes[2]) == {"a", "b", "c"}
    assert await tenants_in_stream(site.js._nc, site.lanes[0]) == set()
