"""Wires the worker: the only place that knows every adapter."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from inference_service.adapters.image_pool import ImagePool
from inference_service.adapters.model_client import ModelAway, ModelClient
from inference_service.cores import available_cores
from inference_service.handlers import give_up, screen_instance
from inference_service.ports import Ports
from inference_service.settings import WorkerSettings
from inference_service.urgent_first import UrgentFirst
from radrelay_shared.http import ReadinessCheck
from radrelay_shared.messaging import (
    Cancellations,
    Consumer,
    Publisher,
    broker_ready,
    connect,
    durables,
    ensure_topology,
)
from radrelay_shared.objects import S3ObjectStore
from radrelay_shared.process import Jobs

BATCHES_IN_HAND = 2
"""One in the model and one on its way to it; more would only wait longer in the server than in the broker."""


@asynccontextmanager
async def open_worker(settings: WorkerSettings, stop: asyncio.Event) -> AsyncIterator[Jobs]:
    """Open what the worker needs; yields its jobs and its readiness checks."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connect(settings.nats, name="inference-worker"))
        js = client.jetstream()
        await ensure_topology(js, settings.nats.streams)
        objects = await stack.enter_async_context(S3ObjectStore(settings.objects))
        model = await stack.enter_async_context(ModelClient(settings.model_url, stop=stop))
        processes = settings.decode_processes or available_cores()
        imaging = await stack.enter_async_context(
            ImagePool(
                processes=processes,
                timeout_s=settings.decode_timeout_s,
                memory_bytes=settings.decode_memory_bytes,
            )
        )
        ports = Ports(
            objects=objects,
            model=model,
            imaging=imaging,
            events=Publisher(js),
            cancellations=Cancellations(js),
            # One file being decoded and one on its way for every process.
            room=UrgentFirst(2 * processes),
        )

        async def consume() -> None:
            try:
                catalogue = await model.catalogue()
            except ModelAway:
                return  # told to stop before the model server ever answered
            consumer = Consumer(
                js,
                durables.INFERENCE_LANES,
                partial(screen_instance, ports=ports),
                max_in_flight=BATCHES_IN_HAND * catalogue.max_batch_size,
                on_exhausted=partial(give_up, ports=ports),
            )
            await consumer.run(stop)

        readiness: dict[str, ReadinessCheck] = {
            "nats": partial(broker_ready, client),
            "objects": objects.ready,
            "model": model.ready,
        }
        yield [consume()], readiness
