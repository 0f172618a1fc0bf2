"""A hospital that stores images, announces them, and hears when each is done."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import perf_counter
from uuid import uuid4

from nats.aio.client import Client
from nats.aio.msg import Msg

from benchmarks.errors import BenchmarkError
from benchmarks.inference.model import IMAGE_SIZE_PX
from radrelay_local.stack import Infrastructure
from radrelay_local.tenants.buckets import TenantBuckets
from radrelay_shared.events import InferenceCompleted, InferenceFailed, InstanceStored, Urgency, make_event, parse_event
from radrelay_shared.messaging import NatsSettings, Publisher, connect, ensure_topology, subject_of
from radrelay_shared.objects import S3ObjectStore

_STALL_S = 180.0
_PUBLISHING = 32
_RAMP = 0.1


class Site:
    """One tenant of its own, with a few images that it announces again and again as new ones."""

    def __init__(self, client: Client, objects: S3ObjectStore) -> None:
        self.tenant = f"bench-{uuid4().hex[:12]}"
        self.finished_at: list[float] = []
        """`perf_counter` when each result was heard, in that order."""
        self._client = client
        self._publisher = Publisher(client.jetstream())
        self._objects = objects
        self._stored: list[tuple[str, bytes]] = []
        self._failure: str | None = None
        self._news = asyncio.Event()

    async def store(self, contents: Sequence[bytes]) -> None:
        """Put the files where intake would, and start to listen."""
        for content in contents:
            key = f"{self.tenant}/instances/{uuid4()}.dcm"
            await self._objects.put(key, content, content_type="application/dicom")
            self._stored.append((key, content))
        await self._client.subscribe(subject_of(InferenceCompleted, tenant=self.tenant), cb=self._hear_result)
        await self._client.subscribe(subject_of(InferenceFailed, tenant=self.tenant), cb=self._hear_failure)
        await self._client.flush()

    async def announce(self, count: int, priority: Urgency = Urgency.ROUTINE) -> None:
        """Publish so many stored events, and return when the broker has them all."""
        gate = asyncio.Semaphore(_PUBLISHING)

        async def publish(number: int) -> None:
            async with gate:
                await self._publisher.publish(
                    make_event(self._event(number, priority), tenant=self.tenant, source="/radrelay/ingest")
                )

        await asyncio.gather(*(publish(number) for number in range(count)))

    async def until(self, count: int) -> None:
        """Return when this many results were heard since the beginning.

        Raises:
            BenchmarkError: an image failed, or nothing was heard for long.
        """
        while len(self.finished_at) < count:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), _STALL_S)
            except TimeoutError:
                done = len(self.finished_at)
                raise BenchmarkError(f"{done} of {count} images done, and none in the last {_STALL_S:g} s") from None
            if self._failure is not None:
                raise BenchmarkError(f"an image failed: {self._failure}")

    async def announce_lone(self) -> float:
        """Seconds from the stored event of one stat image to its completed event."""
        before = len(self.finished_at)
        started = perf_counter()
        await self.announce(1, Urgency.STAT)
        await self.until(before + 1)
        return self.finished_at[before] - started

    def _event(self, number: int, priority: Urgency) -> InstanceStored:
        key, content = self._stored[number % len(self._stored)]
        instance_id = uuid4()
        return InstanceStored(
            instance_id=instance_id,
            batch_id=uuid4(),
            owner_id="benchmark",
            sop_instance_uid=f"2.25.{instance_id.int}",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            study_instance_uid=f"2.25.{uuid4().int}",
            series_instance_uid=f"2.25.{uuid4().int}",
            modality="CT",
            body_part="HEAD",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            rows=IMAGE_SIZE_PX,
            columns=IMAGE_SIZE_PX,
            frames=1,
            object_key=key,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            priority=priority,
            received_at=datetime.now(UTC),
        )

    async def _hear_result(self, _message: Msg) -> None:
        self.finished_at.append(perf_counter())
        self._news.set()

    async def _hear_failure(self, message: Msg) -> None:
        failed: InferenceFailed = parse_event(message.data).data
        self._failure = f"{failed.reason}: {failed.detail}"
        self._news.set()


class Sites:
    """Makes tenants on one infrastructure."""

    def __init__(self, client: Client, objects: S3ObjectStore, buckets: TenantBuckets) -> None:
        self._client = client
        self._objects = objects
        self._buckets = buckets

    async def make(self, contents: Sequence[bytes]) -> Site:
        """A new tenant with these files."""
        site = Site(self._client, self._objects)
        await asyncio.to_thread(self._buckets.add, site.tenant)
        await site.store(contents)
        return site


@asynccontextmanager
async def open_sites(infrastructure: Infrastructure) -> AsyncIterator[Sites]:
    """Connections to broker and object store."""
    settings = NatsSettings(url=infrastructure.nats_url)
    store = infrastructure.objects
    async with connect(settings, name="benchmark") as client, S3ObjectStore(store) as objects:
        await ensure_topology(client.jetstream(), settings.streams)
        with TenantBuckets(store) as buckets:
            yield Sites(client, objects, buckets)


def images_per_s(finished_at: Sequence[float]) -> float:
    """Rate of results, without the first tenth of them, while which pipeline and batches fill."""
    steady = finished_at[int(len(finished_at) * _RAMP) :]
    return (len(steady) - 1) / (steady[-1] - steady[0])
