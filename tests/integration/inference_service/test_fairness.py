"""A worker that has much to do for one tenant, and a stat image of another."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from inference_service.settings import BatchingSettings
from radrelay_shared.events import InferenceCompleted, InferenceStarted, Urgency
from radrelay_shared.messaging import NatsSettings, connect, durables, ensure_topology
from radrelay_shared.objects import S3ObjectStore
from support.inference_site import Site, phantom
from support.stack import Infrastructure
from support.tenants import new_tenant

MAX_BATCH_SIZE = BatchingSettings().max_batch_size
WAITING = 500


@pytest.fixture
async def sites(infra: Infrastructure) -> AsyncIterator[tuple[Site, Site]]:
    """Two tenants; what the first has still waiting at the end is taken from the stream."""
    settings = NatsSettings(url=infra.nats_url)
    async with connect(settings, name="test") as client, S3ObjectStore(infra.objects) as objects:
        js = client.jetstream()
        await ensure_topology(js, settings.streams)
        busy, other = (Site(new_tenant(), objects, client) for _ in range(2))
        for site in (busy, other):
            await site.listen()
            # A bucket's first object waits for a volume of SeaweedFS, while the other tenant's images go on.
            await objects.put(f"{site.tenant}/first", b"x", content_type="text/plain")
        yield busy, other
        await js.purge_stream(durables.INSTANCES.name, subject=f"radrelay.v1.{busy.tenant}.instance.stored.routine")


async def test_a_stat_image_waits_for_three_batches_at_most_with_500_routine_images_of_another_tenant_waiting(
    worker: subprocess.Popen[bytes], sites: tuple[Site, Site]
) -> None:
    busy, other = sites
    stat = await other.put(phantom(2), priority=Urgency.STAT)
    first = await busy.store(phantom(1))
    # Other images, all of the same file.
    again = [first.data.model_copy(update={"instance_id": uuid4()}) for _ in range(WAITING)]
    await asyncio.gather(*(busy.publish(first.model_copy(update={"id": str(uuid4()), "data": data})) for data in again))
    await busy.until(1, InferenceCompleted)
    done_before = len(busy.of(InferenceCompleted))
    assert done_before < WAITING - 3 * MAX_BATCH_SIZE, "nothing is left to wait for"
    await other.publish(stat)
    await other.ends([stat])
    assert len(busy.of(InferenceCompleted)) - done_before <= 3 * MAX_BATCH_SIZE
    assert len(other.of(InferenceStarted)) == 1
    assert worker.poll() is None
