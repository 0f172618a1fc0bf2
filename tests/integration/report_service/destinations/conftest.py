"""An installation in which loopback may be sent to, a tenant in it, and a receiver."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from nats.js import JetStreamContext

from radrelay_shared.database import Database
from radrelay_shared.messaging import connect, ensure_topology
from radrelay_shared.objects import S3ObjectStore
from report_service.main import create_app
from report_service.settings import ReportSettings
from support.asgi import serving
from support.couriers import Couriers
from support.destinations import SOON, Administrator
from support.receivers import Receiver, receiving_events
from support.tenants import new_tenant
from support.tokens import TestIssuer


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
