"""What the sweeper sees, as the system role, across tenants."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import case, delete, func, or_, select, text

from ingest_service.adapters import mapping
from ingest_service.adapters.tables import Base
from ingest_service.domain.lifecycle import UNFINISHED
from ingest_service.domain.model import Batch, RejectedFile
from ingest_service.ports import Overdue, Unfinished
from radrelay_shared.database import Database
from radrelay_shared.events import Urgency

_batch = Base.metadata.tables["ingest.batch"]
_instance = Base.metadata.tables["ingest.instance"]
_rejected = Base.metadata.tables["ingest.rejected_file"]
_answer = Base.metadata.tables["ingest.remembered_answer"]
_file = Base.metadata.tables["ingest.batch_file"]
_upload = Base.metadata.tables["ingest.resumable_upload"]


# Reads one entry of the primary key's index for each tenant.
_TENANTS: Final = text("""
    WITH RECURSIVE known AS (
        (SELECT tenant FROM ingest.batch ORDER BY tenant LIMIT 1)
        UNION ALL
        SELECT following.tenant FROM known CROSS JOIN LATERAL (
            SELECT tenant FROM ingest.batch WHERE batch.tenant > known.tenant ORDER BY tenant LIMIT 1
        ) AS following
    )
    SELECT tenant FROM known
""")


class PostgresSurvey:
    """The survey port."""

    def __init__(self, system_database: Database) -> None:
        self._database = system_database

    async def overdue(self, before: datetime, limit: int) -> Sequence[Overdue]:
        """Images that have been queued or processing, unchanged, since before the given time; oldest first."""
        query = (
            select(_instance.c.tenant, _instance.c.instance_id, _instance.c.submission)
            .where(_instance.c.status.in_(UNFINISHED), _instance.c.status_at < before)
            .order_by(_instance.c.status_at)
            .limit(limit)
        )
        async with self._database.system_transaction() as session:
            return [Overdue(*row) for row in await session.execute(query)]

    async def unfinished(self) -> Mapping[Urgency, Unfinished]:
        """Images that are queued or processing, in the lanes that have any."""
        since = case((_instance.c.submission == 1, _instance.c.received_at), else_=_instance.c.status_at)
        query = (
            select(_instance.c.priority, func.count(), func.min(since))
            .where(_instance.c.status.in_(UNFINISHED))
            .group_by(_instance.c.priority)
        )
        async with self._database.system_transaction() as session:
            rows = (await session.execute(query)).all()
        return {Urgency(lane): Unfinished(number, oldest) for lane, number, oldest in rows}

    async def expired_files(self, now: datetime, limit: int) -> Sequence[RejectedFile]:
        """Rejected files that are kept no longer; oldest first."""
        query = select(_rejected).where(_rejected.c.kept_until < now).order_by(_rejected.c.kept_until).limit(limit)
        async with self._database.system_transaction() as session:
            return [mapping.rejected_file_of(row) for row in await session.execute(query)]

    async def forget_file(self, file: RejectedFile) -> None:
        """Remove what is recorded of a rejected file, after its object."""
        of_file = (_rejected.c.tenant == file.tenant, _rejected.c.rejected_id == file.rejected_id)
        async with self._database.system_transaction() as session:
            await session.execute(delete(_rejected).where(*of_file))

    async def forget_answers(self, before: datetime) -> int:
        """Remove the answers to requests that came before the given time, and return how many."""
        async with self._database.system_transaction() as session:
            result = await session.execute(delete(_answer).where(_answer.c.created_at < before))
            return int(result.rowcount)  # type: ignore[attr-defined]  # DELETE gives a cursor result

    async def idle_batches(self, before: datetime, limit: int) -> Sequence[Batch]:
        """Open batches that have received nothing since before the given time, and wait for no upload; oldest first."""
        recent_file = (
            select(_file.c.name)
            .where(
                _file.c.tenant == _batch.c.tenant, _file.c.batch_id == _batch.c.batch_id, _file.c.received_at >= before
            )
            .exists()
        )
        unfinished_upload = (
            select(_upload.c.upload_id)
            .where(
                _upload.c.tenant == _batch.c.tenant,
                _upload.c.batch_id == _batch.c.batch_id,
                _upload.c.ended_at.is_(None),
                or_(_upload.c.expires_at > func.now(), _upload.c.offset_bytes == _upload.c.length_bytes),
            )
            .exists()
        )
        query = (
            select(_batch)
            .where(_batch.c.closed_at.is_(None), _batch.c.created_at < before, ~recent_file, ~unfinished_upload)
            .order_by(_batch.c.created_at)
            .limit(limit)
        )
        async with self._database.system_transaction() as session:
            return [mapping.batch_of(row) for row in await session.execute(query)]

    async def tenants(self) -> Sequence[str]:
        """All who have ever opened a batch, by name."""
        async with self._database.system_transaction() as session:
            return list(await session.scalars(_TENANTS))
