"""Events reach destinations: signed, once and for all, whatever destinations and workers do."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator
from functools import partial

import httpx
import pytest
from nats.js import JetStreamContext
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from radrelay_shared.events import ReportCreated
from radrelay_shared.messaging import Publisher, connect, durables, ensure_topology, subject_of
from report_service import bootstrap
from report_service.main import create_app
from report_service.settings import ErasureSettings, ReportSettings
from support.asgi import serving
from support.destinations import SOON, Administrator
from support.events import inference_completed
from support.receivers import Received, Receiver, receiving_events
from support.tenants import new_tenant
from support.tokens import TestIssuer
from support.workers import working


@pytest.fixture(scope="module")
def delivering(settings: ReportSettings) -> ReportSettings:
    """Of an installation in which loopback may be sent to."""
    return settings.model_copy(update={"destinations": SOON, "erasure": ErasureSettings(interval_s=0.2, grace_s=0.0)})


@pytest.fixture(scope="module")
async def api(delivering: ReportSettings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app(delivering)) as opened:
        yield opened


@pytest.fixture
def boss(api: httpx.AsyncClient, issuer: TestIssuer) -> Administrator:
    return Administrator(api, issuer, new_tenant())


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


async def test_a_report_reaches_a_destination_as_it_was_published_and_signed(
    delivering: ReportSettings, boss: Administrator, receiver: Receiver, js: JetStreamContext
) -> None:
    destination = await boss.create(receiver.url)
    async with working(partial(bootstrap.open_worker, delivering)):
        await Publisher(js).publish(inference_completed(tenant=boss.tenant))
        (delivery,) = await boss.until(destination, "delivered")
    published = await js.get_last_msg(durables.REPORTS.name, subject_of(ReportCreated, tenant=boss.tenant))
    (came,) = receiver.received
    assert came.body == published.data
    assert came.headers["content-type"] == "application/cloudevents+json"
    assert came.headers["webhook-id"] == json.loads(came.body)["id"] == delivery["event_id"]
    assert is_signed(came, destination["secret"])
    Webhook(destination["secret"]).verify(came.body, came.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(destination["secret"]).verify(came.body + b" ", came.headers)
    assert (delivery["attempts"], delivery["last_status"], delivery["last_reason"]) == (1, 200, None)
