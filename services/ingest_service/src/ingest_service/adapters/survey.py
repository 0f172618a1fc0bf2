"""What the sweeper sees, as the system role, across tenants."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from ingest_service.adapters import mapping
from ingest_service.adapters.tables import BatchFileRow, BatchRow, InstanceRow
from ingest_service.domain.lifecycle import UNFINISHED
from ingest_service.domain.model import Batch
from ingest_service.ports import Overdue
from radrelay_shared.database import Database


class PostgresSurvey:
    """The survey port."""

    def __init__(self, system_database: Database) -> None:
        self._database = system_database

    async def overdue(self, before: datetime, limit: int) -> Sequence[Overdue]:
        """Images that have been queued or processing, unchanged, since before the given time; oldest first."""
        query = (
            select(InstanceRow.tenant, InstanceRow.instance_id)
            .where(InstanceRow.status.in_(UNFINISHED), InstanceRow.status_at < before)
            .order_by(InstanceRow.status_at)
            .limit(limit)
        )
        async with self._database.system_transaction() as session:
            return [Overdue(tenant, instance_id) for tenant, instance_id in await session.execute(query)]

    async def idle_batches(self, before: datetime, limit: int) -> Sequence[Batch]:
        """Open batches that have received nothing since before the given time."""
        recent_file = (
            select(BatchFileRow.name)
            .where(
                BatchFileRow.tenant == BatchRow.tenant,
                BatchFileRow.batch_id == BatchRow.batch_id,
                BatchFileRow.received_at >= before,
            )
            .exists()
        )
        query = (
            select(BatchRow)
            .where(BatchRow.closed_at.is_(None), BatchRow.created_at < before, ~recent_file)
            .order_by(BatchRow.created_at)
            .limit(limit)
        )
        async with self._database.system_transaction() as session:
            return [mapping.batch_of(row) for row in await session.scalars(query)]
