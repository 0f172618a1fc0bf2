"""Killing what works: every accepted image still ends as exactly one report or one failure with a reason."""

import asyncio
from pathlib import Path

from radrelay_local.client.answers import Batch
from radrelay_local.client.api import ApiClient
from radrelay_shared.messaging import durables
from support.hospital import finished, person, send, write_heads
from support.stack import RunningStack
from support.tenants import new_tenant

IMAGES = 40


async def begun(stack: RunningStack, client: ApiClient, folder: Path, first_seed: int) -> Batch:
    """A whole batch of which some images are reported and most are not: it waits for the worker until all is sent."""
    await asyncio.to_thread(stack.suspend, "inference-worker")
    batch = await send(client, write_heads(folder, IMAGES, first_seed=first_seed), root=folder)
    await asyncio.to_thread(stack.resume, "inference-worker")
    async with asyncio.timeout(60):
        while not (counts := (await client.batch(batch.batch_id)).counts).reported:
            await asyncio.sleep(0.05)
    assert counts.reported < IMAGES, "the batch was done before it could be hurt"
    return batch


async def exactly_one_end_each(client: ApiClient, batch: Batch) -> None:
    done = await finished(client, batch)
    files = await client.batch_files(batch.batch_id)
    reports = await client.reports(batch_id=batch.batch_id)
    assert len(files) == IMAGES
    assert all(file.status == "reported" or (file.status == "failed" and file.reason) for file in files)
    assert done.counts.reported == len(reports) == len({report.instance_id for report in reports})
    assert done.counts.reported + done.counts.failed == IMAGES
    async with asyncio.timeout(30):
        while (await client.dashboard()).total_cases != len(reports):
            await asyncio.sleep(0.1)


async def test_the_inference_worker_killed_in_the_middle_of_a_batch(stack: RunningStack, tmp_path: Path) -> None:
    async with person(stack, new_tenant(), "dr-ada") as ada:
        batch = await begun(stack, ada, tmp_path, 1000)
        await asyncio.to_thread(stack.kill, "inference-worker")
        await asyncio.to_thread(stack.start, "inference-worker")
        await exactly_one_end_each(ada, batch)


async def test_the_broker_killed_and_restarted_in_the_middle_of_a_batch(stack: RunningStack, tmp_path: Path) -> None:
    async with person(stack, new_tenant(), "dr-ada") as ada:
        batch = await begun(stack, ada, tmp_path, 2000)
        await asyncio.to_thread(stack.kill, "nats")
        await asyncio.to_thread(stack.start, "nats")
        await exactly_one_end_each(ada, batch)


async def test_every_worker_and_the_model_server_killed_in_the_middle_of_a_batch(
    stack: RunningStack, tmp_path: Path
) -> None:
    victims = ["ingest-worker", "report-worker", "dashboard-worker", "model-server"]
    async with person(stack, new_tenant(), "dr-ada") as ada:
        batch = await begun(stack, ada, tmp_path, 3000)
        for victim in victims:
            await asyncio.to_thread(stack.kill, victim)
        for victim in victims:
            await asyncio.to_thread(stack.start, victim)
        await exactly_one_end_each(ada, batch)


async def test_a_worker_that_slept_past_its_ack_wait_changes_nothing_when_it_wakes(
    stack: RunningStack, tmp_path: Path
) -> None:
    tenant = new_tenant()
    ack_wait_s = max(lane.durable(tenant).ack_wait_s for lane in durables.INFERENCE_LANES)
    async with person(stack, tenant, "dr-ada") as ada:
        batch = await begun(stack, ada, tmp_path, 4000)
        await asyncio.to_thread(stack.suspend, "inference-worker")
        # The broker gives what the sleeper has in hand to whoever asks next only when this time is over.
        await asyncio.sleep(ack_wait_s + 1)
        await asyncio.to_thread(stack.resume, "inference-worker")
        await exactly_one_end_each(ada, batch)
