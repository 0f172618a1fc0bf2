"""Messages that are handled together, on a real JetStream: each is settled by what became of itself."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from nats.js import JetStreamContext

from radrelay_shared.messaging import Consumer, Delivery, Durable, Outgoing, Poison, Publisher, Together, subject_for
from radrelay_shared.messaging.deadletters import REASON
from radrelay_shared.messaging.topology import DEAD_LETTERS, dead_letter_subject
from support.consuming import consuming, eventually
from support.events import instance_stored
from support.lanes import lane
from support.tenants import new_tenant


class Handler:
    """Refuses one event, stumbles once over another, and takes the rest."""

    def __init__(self, poison: str, stumble: str) -> None:
        self.rounds: list[list[str]] = []
        self.attempts: defaultdict[str, list[int]] = defaultdict(list)
        self._poison = poison
        self._stumble = stumble

    async def __call__(self, deliveries: Sequence[Delivery]) -> list[Exception | None]:
        self.rounds.append([each.event.id for each in deliveries])
        for each in deliveries:
            self.attempts[each.event.id].append(each.attempt)
        return [self._wrong_with(each) for each in deliveries]

    def _wrong_with(self, delivery: Delivery) -> Exception | None:
        if delivery.event.id == self._poison:
            return Poison("never", "in a test")
        if delivery.event.id == self._stumble and delivery.attempt == 1:
            return ConnectionError("away for a moment")
        return None


async def send(js: JetStreamContext, tenant: str, count: int) -> list[str]:
    """The identifiers of so many events, published."""
    events = [instance_stored(tenant=tenant) for _ in range(count)]
    outgoing = [Outgoing(subject_for(each), each.to_json(), each.id) for each in events]
    assert await Publisher(js).publish_together(outgoing) == [None] * count
    return [each.id for each in events]


async def all_settled(js: JetStreamContext, durable: Durable) -> None:
    """Return when no message waits and none is with anybody: the broker does not confirm that one became a dead letter.

    Raises:
        TimeoutError: some are left over.
    """
    async with asyncio.timeout(20):
        while True:
            info = await js.consumer_info(durable.stream.name, durable.name)
            if not info.num_pending and not info.num_ack_pending:
                return
            await asyncio.sleep(0.01)


async def test_what_comes_together_is_handled_together_and_settled_alone(js: JetStreamContext) -> None:
    tenant = new_tenant()
    durable = await lane(js, tenant)
    ids = await send(js, tenant, 20)
    handler = Handler(poison=ids[3], stumble=ids[7])
    async with consuming(Consumer(js, durable, Together(handler, at_once=8), max_in_flight=20)):
        await eventually(lambda: handler.attempts[ids[7]] == [1, 2])
    assert [len(each) for each in handler.rounds] == [8, 8, 4, 1]
    assert all(handler.attempts[each] == [1] for each in ids if each != ids[7])
    await all_settled(js, durable)
    letter = await js.get_last_msg(DEAD_LETTERS.name, dead_letter_subject(tenant, durable))
    assert letter.headers is not None
    assert letter.headers[REASON] == "never"


async def test_what_a_handler_raises_is_wrong_with_them_all(js: JetStreamContext) -> None:
    tenant = new_tenant()
    durable = await lane(js, tenant)
    ids = await send(js, tenant, 5)
    attempts: defaultdict[str, list[int]] = defaultdict(list)

    async def handle(deliveries: Sequence[Delivery]) -> list[Exception | None]:
        for each in deliveries:
            attempts[each.event.id].append(each.attempt)
        if any(each.attempt == 1 for each in deliveries):
            raise ConnectionError("away for a moment")
        return [None] * len(deliveries)

    async with consuming(Consumer(js, durable, Together(handle, at_once=5))):
        await eventually(lambda: all(attempts[each] == [1, 2] for each in ids))
    await all_settled(js, durable)


async def test_messages_that_nobody_can_read_do_not_reach_the_handler(js: JetStreamContext) -> None:
    tenant = new_tenant()
    durable = await lane(js, tenant)
    await js.publish(durable.filter_subjects[0], b"no event")
    ids = await send(js, tenant, 3)
    seen: list[str] = []

    async def handle(deliveries: Sequence[Delivery]) -> list[Exception | None]:
        seen.extend(each.event.id for each in deliveries)
        return [None] * len(deliveries)

    async with consuming(Consumer(js, durable, Together(handle, at_once=10))):
        await eventually(lambda: sorted(seen) == sorted(ids))
    await all_settled(js, durable)


async def test_each_of_many_messages_has_its_own_receipt(js: JetStreamContext) -> None:
    tenant = new_tenant()
    event = instance_stored(tenant=tenant)
    good = Outgoing(subject_for(event), event.to_json(), event.id)
    nowhere = Outgoing(f"nobody.{tenant}.listens", b"{}", "other")
    first, second, third = await Publisher(js).publish_together([good, nowhere, good])
    assert (first, third) == (None, None)
    assert "NoStreamResponseError" in str(second)
