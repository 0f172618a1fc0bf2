"""One image of one batch, and what the rest of the product says of it."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Event, InferenceStarted, make_event
from radrelay_shared.messaging import Publisher, durables
from radrelay_shared.messaging.deadletters import DURABLE, REASON
from radrelay_shared.messaging.topology import dead_letter_subject
from support.ingest_api import IngestUser


def started(tenant: str, instance_id: UUID, *, submission: int = 1) -> Event[InferenceStarted]:
    """A worker took this submission of an image in hand."""
    data = InferenceStarted(
        instance_id=instance_id,
        batch_id=uuid4(),
        owner_id="dr-a",
        attempt=1,
        started_at=datetime.now(UTC),
        submission=submission,
    )
    return make_event(data, tenant=tenant, source="/radrelay/inference")


class Case:
    """One image, `a.dcm`, of one batch."""

    def __init__(self, doctor: IngestUser, tenant: str, batch_id: str, instance_id: UUID, publisher: Publisher) -> None:
        self.doctor = doctor
        self.tenant = tenant
        self.batch_id = batch_id
        self.instance_id = instance_id
        self.publisher = publisher

    async def say(self, *events: Event[Any]) -> None:
        """Publish events."""
        for event in events:
            await self.publisher.publish(event)

    async def bury(self, event: Event[Any], *, reason: str) -> None:
        """Have the report service give up on an event."""
        await self.publisher.publish_raw(
            dead_letter_subject(self.tenant, durables.REPORT_RESULTS),
            event.to_json(),
            message_id=str(uuid4()),
            headers={REASON: reason, DURABLE: durables.REPORT_RESULTS.name},
        )

    async def file(self) -> dict[str, Any]:
        """The file as the API shows it."""
        return (await self.doctor.files(self.batch_id))["a.dcm"]

    async def becomes(self, status: str) -> dict[str, Any]:
        """The file once it has this status."""
        await self.doctor.wait_for(self.batch_id, lambda batch: batch["counts"][status] == 1)
        return await self.file()


async def applied(database: Database, event: Event[Any]) -> None:
    """Wait until the worker has put the event in its inbox."""
    query = text("SELECT count(*) FROM ingest.inbox WHERE event_id = :id")
    async with asyncio.timeout(20):
        while True:
            async with database.transaction(Scope.service(event.tenant)) as session:
                if await session.scalar(query, {"id": event.id}):
                    return
            await asyncio.sleep(0.02)
