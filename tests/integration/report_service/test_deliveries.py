"""Events reach destinations: signed, once and for all, whatever destinations and workers do."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from nats.js import JetStreamContext
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from radrelay_shared.database import Database, Scope
from radrelay_shared.events import ReportCreated
from radrelay_shared.messaging import Publisher, connect, durables, ensure_topology, subject_of
from radrelay_shared.objects import S3ObjectStore
from report_service import bootstrap
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.destinations import Topic
from report_service.main import create_app
from report_service.settings import ReportSettings
from support.asgi import serving
from support.certificates import Authority
from support.couriers import Couriers
from support.destinations import SOON, Administrator
from support.events import inference_completed
from support.receivers import Answer, Received, Receiver, receiving_events
from support.tenants import new_tenant
from support.tokens import TestIssuer
from support.workers import until_settled, working


@pytest.fixture(scope="module")
def delivering(settings: ReportSettings) -> ReportSettings:
    """Of an installation in which loopback may be sent to."""
    return settings.model_copy(update={"destinations": SOON})


@pytest.fixture(scope="module")
async def api(delivering: ReportSettings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app(delivering)) as opened:
        yield opened


@pytest.fixture
async def boss(api: httpx.AsyncClient, issuer: TestIssuer) -> AsyncIterator[Administrator]:
    """Nothing is left to be sent afterwards."""
    administrator = Administrator(api, issuer, new_tenant())
    yield administrator
    await administrator.remove_all()


@pytest.fixture
def couriers(database: Database, system: Database, objects: S3ObjectStore) -> Couriers:
    return Couriers(database, system, objects)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving_events() as opened:
        yield opened


@pytest.fixture(scope="module")
async def js(settings: ReportSettings) -> AsyncIterator[JetStreamContext]:
    async with connect(settings.nats, name="test") as client:
        context = client.jetstream()
        await ensure_topology(context, settings.nats.streams)
        yield context


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
    subject = subject_of(ReportCreated, tenant=boss.tenant)
    async with working(partial(bootstrap.open_worker, delivering)):
        await Publisher(js).publish(inference_completed(tenant=boss.tenant))
        (delivery,) = await boss.until(destination, "delivered")
        published = (await js.get_last_msg(durables.REPORTS.name, subject)).data
        assert published is not None
        # Comes again after the broker's duplicate window.
        await js.publish(subject, published)
        await until_settled(js, durables.REPORT_DESTINATIONS)
        await boss.test(destination)
        await boss.until(destination, "delivered", 2)
    came, _ = receiver.received
    assert came.body == published
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
    """And nobody gets what was published before they were there, while they were paused, or of another tenant."""
    report = await couriers.persist(boss.tenant)
    before = await couriers.announced(boss.tenant, "report.created")
    destination = await boss.create(receiver.url, ["report.reviewed", "report.erased"])
    everything = await boss.create(receiver.url)
    paused = await boss.create(receiver.url, name="paused")
    await boss.change(paused, paused=True)
    other = await couriers.persist(new_tenant())
    await couriers.tell(await couriers.announced(other.tenant, "report.created"))
    await couriers.tell(before)
    await couriers.persist(boss.tenant)
    await couriers.tell(await couriers.announced(boss.tenant, "report.created"))
    await couriers.review(report)
    await couriers.tell(await couriers.announced(boss.tenant, "report.reviewed"))
    told = [
        [noted["event_type"].split(".", 2)[2] for noted in await boss.deliveries(each)]
        for each in (destination, everything, paused)
    ]
    assert told == [["report.reviewed.v1"], ["report.reviewed.v1", "report.created.v1"], []]


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
    logged = [str(vars(each)) for each in caplog.records if each.name.startswith("report_service")]
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


async def test_two_workers_side_by_side_send_each_event_once(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    events = [await boss.test(destination) for _ in range(30)]
    async with couriers.at_work(), couriers.at_work():
        await boss.until(destination, "delivered", 30)
    assert sorted(receiver.ids()) == sorted(events)


async def test_a_host_that_is_not_allowed_any_more_is_not_called(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    destination = await boss.create(receiver.url)
    await boss.test(destination)
    async with couriers.at_work(hosts=("https://elsewhere.example.org",)):
        found = await boss.until_tried(destination)
    assert (found["last_reason"], found["last_status"]) == ("destination_host_not_allowed", None)
    assert receiver.received == []


async def test_a_name_that_leads_to_the_machine_itself_is_not_connected_to(
    couriers: Couriers, boss: Administrator, receiver: Receiver
) -> None:
    """The setting names a host; whoever answers for names may say anything of where it is."""
    destination = await boss.create(receiver.url)
    await boss.test(destination)
    url = f"http://localhost:{receiver.port}/events"
    await couriers.change(boss.tenant, "UPDATE report.destinations SET url = :url", url=url)
    async with couriers.at_work(hosts=("http://localhost:*",)):
        found = await boss.until_tried(destination)
    assert found["last_reason"] == "address_not_allowed"
    assert receiver.received == []


async def test_only_a_certificate_of_an_authority_that_is_known_is_spoken_to(
    couriers: Couriers, boss: Administrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    with receiving_events(authority.issue("127.0.0.1")) as receiver:
        destination = await boss.create(receiver.url)
        await boss.test(destination)
        async with couriers.at_work(hosts=("https://127.0.0.1:*",)):
            found = await boss.until_tried(destination)
        assert (found["last_reason"], receiver.received) == ("tls_failed", [])
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        async with couriers.at_work(hosts=("https://127.0.0.1:*",)):
            await boss.until(destination, "delivered")
    assert len(receiver.received) == 1


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
