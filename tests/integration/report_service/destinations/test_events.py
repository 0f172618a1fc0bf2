"""Which events reach a destination, as what, and signed how."""

import asyncio
import base64
import hashlib
import hmac
import json
from functools import partial
from uuid import UUID

import pytest
from nats.js import JetStreamContext
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from radrelay_shared.database import Scope
from radrelay_shared.events import ReportCreated
from radrelay_shared.messaging import Publisher, durables, subject_of
from report_service import bootstrap
from report_service.settings import ReportSettings
from support.couriers import Couriers
from support.destinations import Administrator
from support.events import inference_completed, report_created
from support.receivers import Received, Receiver
from support.tenants import new_tenant
from support.workers import publish_again, until_settled, working


def is_signed(received: Received, secret: str) -> bool:
    """As Standard Webhooks says, computed here."""
    signed = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode() + received.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return received.headers["webhook-signature"] == f"v1,{expected}"


async def test_a_report_reaches_a_destination_once_as_it_was_published_and_signed(
    delivering: ReportSettings, boss: Administrator, receiver: Receiver, js: JetStreamContext
) -> None:
    destination = await boss.create(receiver.url)
    result = inference_completed(tenant=boss.tenant)
    async with working(partial(bootstrap.open_worker, delivering)):
        await Publisher(js).publish(result)
        (delivery,) = await boss.until(destination, "delivered")
        # Comes again after the broker's duplicate window.
        await publish_again(js, result)
        await until_settled(js, durables.REPORT_RESULTS)
        published = await js.get_last_msg(durables.REPORTS.name, subject_of(ReportCreated, tenant=boss.tenant))
        await boss.test(destination)
        await boss.until(destination, "delivered", 2)
    came, _ = receiver.received
    assert came.body == published.data
    assert came.headers["content-type"] == "application/cloudevents+json"
    assert came.headers["webhook-id"] == json.loads(came.body)["id"] == delivery["event_id"]
    assert is_signed(came, destination["secret"])
    Webhook(destination["secret"]).verify(came.body, came.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(destination["secret"]).verify(came.body + b" ", came.headers)
    assert (delivery["attempts"], delivery["last_status"], delivery["last_reason"]) == (1, 200, None)


async def test_who_wants_some_events_gets_no_others(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    """And nobody gets what was announced before they were there, while they were paused, or of another tenant."""
    report = await couriers.persist(boss.tenant)
    destination = await boss.create(receiver.url, ["report.reviewed", "report.erased"])
    everything = await boss.create(receiver.url)
    paused = await boss.create(receiver.url, name="paused")
    await boss.change(paused, paused=True)
    await couriers.persist(new_tenant())
    await couriers.persist(boss.tenant)
    await couriers.review(report)
    told = [
        [noted["event_type"].split(".", 2)[2] for noted in await boss.deliveries(each)]
        for each in (destination, everything, paused)
    ]
    assert told == [["report.reviewed.v1"], ["report.reviewed.v1", "report.created.v1"], []]


async def test_a_destination_that_is_being_removed_keeps_no_report_from_being_made(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    async with asyncio.TaskGroup() as group:
        async with couriers.store.transaction(Scope.service(boss.tenant)) as unit:
            await unit.remove_destination(UUID(destination["destination_id"]))
            persisting = group.create_task(couriers.persist(boss.tenant))
            await couriers.until_one_waits()
        report = await persisting
    assert report.tenant == boss.tenant


async def test_whoever_removes_a_destination_waits_for_what_is_being_noted_for_it(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    async with asyncio.TaskGroup() as group:
        async with couriers.store.transaction(Scope.service(boss.tenant)) as unit:
            await unit.note_for_destinations(report_created(tenant=boss.tenant))
            removing = group.create_task(boss.remove_all())
            await couriers.until_one_waits()
            assert not removing.done()
        await removing
    assert (await boss.call("GET", f"/{destination['destination_id']}")).status_code == 404


async def test_after_a_new_secret_the_old_one_signs_nothing(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    _, tag = await boss.get(destination)
    path = f"/{destination['destination_id']}/secret"
    rotated = await boss.call("POST", path, headers={"If-Match": tag})
    assert rotated.status_code == 200, rotated.text
    assert (await boss.call("POST", path, headers={"If-Match": tag})).status_code == 412
    await boss.test(destination)
    async with couriers.at_work():
        await boss.until(destination, "delivered")
    (came,) = receiver.received
    assert is_signed(came, rotated.json()["secret"])
    assert not is_signed(came, destination["secret"])
