"""What is erased is not on its way any more."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

from support.couriers import Couriers
from support.destinations import Administrator
from support.receivers import Receiver


async def test_of_an_erased_report_only_that_is_sent(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    report = await couriers.persist(boss.tenant)
    await couriers.review(report)
    assert len(await boss.deliveries(destination)) == 2
    await couriers.erase(report)
    assert len(await boss.deliveries(destination)) == 1, "what was to be sent went with the report"
    async with couriers.at_work():
        (delivered,) = await boss.until(destination, "delivered")
    assert delivered["event_type"] == "org.radrelay.report.erased.v1"
    (came,) = receiver.received
    assert json.loads(came.body)["data"]["report_id"] == str(report.report_id)


async def test_whoever_erases_waits_for_a_review_that_is_being_told(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    """Else what it notes would stay when it commits after the erasure."""
    destination = await boss.create(receiver.url, ["report.reviewed"])
    report = await couriers.persist(boss.tenant)
    async with asyncio.TaskGroup() as group:
        async with couriers.reviewing(report):
            erasing = group.create_task(couriers.erase(report))
            await couriers.until_one_waits()
            assert not erasing.done()
        await erasing
    assert await boss.deliveries(destination) == []


async def test_what_was_settled_long_ago_is_removed(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    await boss.test(destination)
    async with couriers.at_work():
        await boss.until(destination, "delivered")
    await couriers.queue.forget(datetime.now(UTC) - timedelta(hours=1))
    assert len(await boss.deliveries(destination)) == 1
    await couriers.queue.forget(datetime.now(UTC))
    assert await boss.deliveries(destination) == []
