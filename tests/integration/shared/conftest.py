"""A connection to the broker that all tests share."""

from collections.abc import AsyncIterator

import pytest
from nats.js import JetStreamContext

from radrelay_shared.messaging import NatsSettings, connect, ensure_topology
from support.stack import Infrastructure


@pytest.fixture
async def js(infra: Infrastructure) -> AsyncIterator[JetStreamContext]:
    settings = NatsSettings(url=infra.nats_url)
    async with connect(settings, name="test") as client:
        context = client.jetstream()
        await ensure_topology(context, settings.streams)
        yield context
