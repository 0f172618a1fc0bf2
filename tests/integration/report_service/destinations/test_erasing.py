"""What is erased is not on its way any more."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

from radrelay_shared.database import Scope
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.destinations import Topic
from support.couriers import Couriers
from support.destinations import Administrator
from support.receivers import Receiver


async def test_of_an_erased_report_only_that_is_sent(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    report = await couriers.persist(boss.tenant)
    created = await couriers.announced(boss.tenant, "report.created")
    await couriers.review(report)
    await couriers.tell(created)
    await couriers.tell(await couriers.announced(boss.tenant, "report.reviewed"))
    assert len(await boss.deliveries(destination)) == 2
    await couriers.erase(report)
    assert await boss.deliveries(destination) == [], "what was to be sent went with the report"
    await couriers.tell(created)
    assert await boss.deliveries(destination) == [], "and does not come back"
    await couriers.tell(await couriers.announced(boss.tenant, "report.erased"))
    async with couriers.at_work():
        (delivered,) = await boss.until(destination, "delivered")
    assert delivered["event_type"] == "org.radrelay.report.erased.v1"
    (came,) = receiver.received
    assert json.loads(came.body)["data"]["report_id"] == str(report.report_id)


async def test_whoever_erases_waits_for_what_is_being_noted(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    """Else a note that commits after the erasure would stay."""
    destination = await boss.create(receiver.url)
    report = await couriers.persist(boss.tenant)
    created = await couriers.announced(boss.tenant, "report.created")
    now = datetime.now(UTC)
    store = PostgresReportStore(couriers.database)
    async with asyncio.TaskGroup() as group, store.transaction(Scope.service(boss.tenant)) as unit:
        assert await unit.add_deliveries(created, Topic.CREATED, now, now) == 1
        erasing = group.create_task(couriers.erase(report))
        await couriers.until_one_waits()
        assert not erasing.done()
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
