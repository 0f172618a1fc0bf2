"""A tenant of a test's own, as the inference worker sees it: files in the store, events on the broker."""

import asyncio
import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from nats.aio.client import Client
from nats.aio.msg import Msg

from radrelay_phantoms import sample
from radrelay_phantoms.dicom import write_dicom
from radrelay_shared.events import (
    Event,
    InferenceCompleted,
    InferenceFailed,
    InstanceStored,
    Urgency,
    make_event,
    parse_event,
)
from radrelay_shared.messaging import Publisher
from radrelay_shared.objects import S3ObjectStore, keys

ENOUGH_S = 90.0


def phantom(seed: int) -> bytes:
    """A synthetic head CT as a DICOM file."""
    stream = io.BytesIO()
    write_dicom(sample(seed, size=128), stream)
    return stream.getvalue()


@dataclass
class Site:
    """One tenant of a test's own: what it stores and what it hears."""

    tenant: str
    objects: S3ObjectStore
    client: Client
    heard: list[Event[Any]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def store(self, content: bytes | None, *, priority: Urgency = Urgency.ROUTINE) -> Event[InstanceStored]:
        """Put a file where intake would, and announce it; without content only announce it."""
        event = await self.put(content, priority=priority)
        await self.publish(event)
        return event

    async def put(self, content: bytes | None, *, priority: Urgency = Urgency.ROUTINE) -> Event[InstanceStored]:
        """Put a file where intake would, and give what would announce it."""
        instance_id = uuid4()
        key = keys.instance(self.tenant, instance_id)
        if content is not None:
            await self.objects.put(key, content, content_type="application/dicom")
        return make_event(
            InstanceStored(
                instance_id=instance_id,
                batch_id=uuid4(),
                owner_id="dr-a",
                sop_instance_uid=f"2.25.{instance_id.int}",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
                study_instance_uid=f"2.25.{uuid4().int}",
                series_instance_uid=f"2.25.{uuid4().int}",
                modality="CT",
                body_part="HEAD",
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                rows=128,
                columns=128,
                frames=1,
                object_key=key,
                size_bytes=len(content or b"-"),
                sha256=hashlib.sha256(content or b"").hexdigest(),
                priority=priority,
                received_at=datetime.now(UTC),
            ),
            tenant=self.tenant,
            source="/radrelay/ingest",
        )

    async def listen(self) -> None:
        """Hear what is said of the tenant's images from now on."""
        await self.client.subscribe(f"radrelay.v1.{self.tenant}.inference.*", cb=self.hear)
        await self.client.flush()

    async def publish(self, event: Event[Any]) -> None:
        await Publisher(self.client.jetstream()).publish(event)

    async def hear(self, message: Msg) -> None:
        self.heard.append(parse_event(message.data))
        self.news.set()

    def of(self, *kinds: type) -> list[Event[Any]]:
        return [event for event in self.heard if isinstance(event.data, kinds)]

    async def until(self, count: int, *kinds: type) -> list[Event[Any]]:
        """Wait for this many events of these kinds."""
        async with asyncio.timeout(ENOUGH_S):
            while len(self.of(*kinds)) < count:
                self.news.clear()
                await self.news.wait()
        return self.of(*kinds)

    async def ends(self, stored: Iterable[Event[InstanceStored]]) -> dict[UUID, Event[Any]]:
        """How each image ended; every one exactly once."""
        wanted = [event.data.instance_id for event in stored]
        ended = await self.until(len(wanted), InferenceCompleted, InferenceFailed)
        assert sorted(event.data.instance_id for event in ended) == sorted(wanted)
        return {event.data.instance_id: event for event in ended}
