"""Outbox to JetStream."""

import asyncio
from typing import Final

from ingest_service.adapters.outages import is_outage
from ingest_service.adapters.tables import OutboxRow
from radrelay_shared.database import Database, OutboxRelay
from radrelay_shared.messaging import Publisher
from radrelay_shared.periodic import every

PURGE_INTERVAL_S: Final = 3600.0


async def run_relay(system_database: Database, publisher: Publisher, stop: asyncio.Event) -> None:
    """Publish what the outbox holds until `stop`, and remove what was published long ago."""
    relay = OutboxRelay(system_database, OutboxRow, publisher)
    async with asyncio.TaskGroup() as group:
        group.create_task(relay.run(stop))
        group.create_task(every(PURGE_INTERVAL_S, relay.purge, stop, is_outage=is_outage))
