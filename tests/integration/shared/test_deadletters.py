"""Reading dead letters and sending them again, on the real broker."""

import asyncio
from collections import Counter

import pytest
from nats.js import JetStreamContext

from radrelay_shared.events import Event, InstanceStored
from radrelay_shared.messaging import Consumer, Delivery, Durable, Poison, Publisher, PublishError, durables
from radrelay_shared.messaging.deadletters import (
    DURABLE,
    ORIGINAL_SUBJECT,
    REASON,
    DeadLetter,
    DeadLetterStream,
    NoDeadLetter,
    NotReplayable,
    Selection,
)
from radrelay_shared.messaging.topology import dead_letter_subject, ensure_durable
from support.consuming import consuming, eventually
from support.events import instance_stored
from support.tenants import new_tenant


async def durable_of(js: JetStreamContext, tenant: str, name: str = "worker") -> Durable:
    """A durable that sees only this test's tenant, and gives up at once."""
    subject = f"radrelay.v1.{tenant}.instance.stored.routine"
    durable = Durable(f"{tenant}-{name}", durables.INSTANCES, (subject,), max_attempts=1)
    await ensure_durable(js, durable)
    return durable


async def found(js: JetStreamContext, tenant: str, **selected: str) -> list[DeadLetter]:
    return [letter async for letter in DeadLetterStream(js).find(Selection(tenant=tenant, **selected))]


async def until_buried(js: JetStreamContext, tenant: str, count: int) -> list[DeadLetter]:
    async with asyncio.timeout(20):
        while len(letters := await found(js, tenant)) < count:
            await asyncio.sleep(0.02)
    return letters


async def bury(js: JetStreamContext, tenant: str, **headers: str) -> Event[InstanceStored]:
    """A dead letter of a report service, without the service."""
    event = instance_stored(tenant=tenant)
    await Publisher(js).publish_raw(
        dead_letter_subject(tenant, durables.REPORT_RESULTS),
        event.to_json(),
        message_id=f"buried:{event.id}",
        headers={
            REASON: "cannot_be",
            DURABLE: durables.REPORT_RESULTS.name,
            ORIGINAL_SUBJECT: f"radrelay.v1.{tenant}.instance.stored.routine",
        }
        | headers,
    )
    return event


async def test_a_message_that_failed_for_ever_is_buried_listed_replayed_handled_and_gone(js: JetStreamContext) -> None:
    tenant = new_tenant()
    durable = await durable_of(js, tenant)
    event = instance_stored(tenant=tenant)
    broken, handled = True, list[Delivery]()

    async def handle(delivery: Delivery) -> None:
        if broken:
            raise ConnectionError("away for good")
        handled.append(delivery)

    async with consuming(Consumer(js, durable, handle)):
        await Publisher(js).publish(event)
        (letter,) = await until_buried(js, tenant, 1)
        assert (letter.tenant, letter.durable, letter.attempts) == (tenant, durable.name, 1)
        assert (letter.reason, letter.detail) == ("retries_exhausted", "ConnectionError")
        broken = False
        await DeadLetterStream(js).replay(letter)
        await eventually(lambda: bool(handled))
    assert handled[0].event == event
    assert handled[0].attempt == 1
    assert not [name for name in handled[0].headers if name.startswith("Radrelay-")]
    assert await found(js, tenant) == []


async def test_what_fails_again_comes_back_with_a_new_number(js: JetStreamContext) -> None:
    tenant = new_tenant()
    durable = await durable_of(js, tenant)

    async def handle(_: Delivery) -> None:
        raise Poison("cannot_be")

    async with consuming(Consumer(js, durable, handle)):
        await Publisher(js).publish(instance_stored(tenant=tenant))
        (first,) = await until_buried(js, tenant, 1)
        await DeadLetterStream(js).replay(first)
        (second,) = await until_buried(js, tenant, 1)
    assert second.sequence > first.sequence
    assert second.payload == first.payload


async def test_a_letter_replayed_twice_is_sent_once(js: JetStreamContext) -> None:
    tenant = new_tenant()
    await bury(js, tenant)
    (letter,) = await found(js, tenant)
    await asyncio.gather(*(DeadLetterStream(js).replay(letter) for _ in range(2)))
    await DeadLetterStream(js).replay(letter)
    durable = await durable_of(js, tenant)
    assert (await js.consumer_info(durable.stream.name, durable.name)).num_pending == 1


async def test_every_other_consumer_of_the_subject_gets_the_same_event_again(js: JetStreamContext) -> None:
    """Under its old id, which is what an inbox knows it by."""
    tenant = new_tenant()
    fails, works = await durable_of(js, tenant, "fails"), await durable_of(js, tenant, "works")
    event = instance_stored(tenant=tenant)
    seen: Counter[str] = Counter()

    async def give_up(_: Delivery) -> None:
        raise Poison("cannot_be")

    async def note(delivery: Delivery) -> None:
        seen[delivery.event.id] += 1

    async with consuming(Consumer(js, works, note)), consuming(Consumer(js, fails, give_up)):
        await Publisher(js).publish(event)
        (letter,) = await until_buried(js, tenant, 1)
        await eventually(lambda: seen.total() == 1)
        await DeadLetterStream(js).replay(letter)
        await eventually(lambda: seen.total() == 2)
    assert seen == {event.id: 2}


async def test_a_selection_has_what_it_names_oldest_first(js: JetStreamContext) -> None:
    tenant, other = new_tenant(), new_tenant()
    events = [await bury(js, tenant), await bury(js, tenant, **{REASON: "other_reason"}), await bury(js, tenant)]
    await bury(js, other)
    letters = await found(js, tenant)
    assert [letter.payload for letter in letters] == [event.to_json() for event in events]
    assert [letter.sequence for letter in letters] == sorted(letter.sequence for letter in letters)
    assert await found(js, tenant, reason="other_reason") == [letters[1]]
    assert await found(js, tenant, durable="report-results") == letters
    assert await found(js, tenant, durable="report") == []


async def test_a_number_that_is_not_there_is_an_error_that_says_so(js: JetStreamContext) -> None:
    tenant = new_tenant()
    await bury(js, tenant)
    (letter,) = await found(js, tenant)
    letters = DeadLetterStream(js)
    assert await letters.get(letter.sequence) == letter
    await letters.replay(letter)
    for number in (letter.sequence, 10**9):
        with pytest.raises(NoDeadLetter, match=f"no dead letter {number}"):
            await letters.get(number)


@pytest.mark.parametrize("subject", ["", "radrelay.v1.somebody-else.instance.stored.routine", "elsewhere"])
async def test_a_letter_goes_nowhere_but_to_a_subject_of_its_tenant(js: JetStreamContext, subject: str) -> None:
    tenant = new_tenant()
    await bury(js, tenant, **{ORIGINAL_SUBJECT: subject})
    (letter,) = await found(js, tenant)
    with pytest.raises(NotReplayable, match=f"dead letter {letter.sequence}"):
        await DeadLetterStream(js).replay(letter)
    assert await found(js, tenant) == [letter]


async def test_without_a_receipt_the_letter_stays(js: JetStreamContext) -> None:
    tenant = new_tenant()
    await bury(js, tenant, **{ORIGINAL_SUBJECT: f"radrelay.v1.{tenant}.of.no.stream"})
    (letter,) = await found(js, tenant)
    with pytest.raises(PublishError):
        await DeadLetterStream(js).replay(letter)
    assert await found(js, tenant) == [letter]
