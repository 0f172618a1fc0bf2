"""What the sweeper sees, as the system role, across tenants."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from ingest_service.adapters import mapping
from ingest_service.adapters.tables import Base
from ingest_service.domain.lifecycle import UNFINISHED
from ingest_service.domain.model import Batch
from ingest_service.ports import Overdue
from radrelay_shared.database import Database

_batch = Base.metadata.tables["ingest.batch"]
_instance = Base.metadata.tables["ingest.instance"]
_file = Base.metadata.tables["ingest.batch_file"]


class PostgresSurvey:
    """The survey port."""

    def __init__(self, system_database: Database) -> None:
        self._database = system_database

    async def overdue(self, before: datetime, limit: int) -> Sequence[Overdue]:
        """Images that have been queued or processing, unchanged, since before the given time; oldest first."""
        query = (
            select(_instance.c.tenant, _instance.c.instance_id)
            .where(_instance.c.status.in_(UNFINISHED), _instance.c.status_at < before)
            .order_by(_instance.c.status_at)
            .limit(limit)
        )
        async with self._database.system_transaction() as session:
            return [Overdue(tenant, instance_id) for tenant, instance_id in await session.execute(query)]

    async def idle_batches(self, before: datetime, limit: int) -> Sequence[Batch]:
        """Open batches that have received nothing since before the given time; oldest first."""
        recent_file = (
            select(_file.c.name)
            .where(
                _file.c.tenant == _batch.c.tenant, _file.c.batch_id == _batch.c.batch_id, _file.c.received_at >= before
            )
            .exists()
        )
        query = (
            select(_batch)
            .where(_batch.c.closed_at.is_(None), _batch.c.created_at < before, ~recent_file)
            .order_by(_batch.c.created_at)
            .limit(limit)
        )
        async with self._database.system_transaction() as session:
            return [mapping.batch_of(row) for row in await session.execute(query)]
