"""The database port on PostgreSQL. Row security adds the tenant and the owner to every query here."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ingest_service.adapters import mapping
from ingest_service.adapters.tables import AuditRow, BatchFileRow, BatchRow, InboxRow, InstanceRow, OutboxRow
from ingest_service.domain.audit import AuditFact, chain
from ingest_service.domain.lifecycle import ALLOWED_FROM, Counts, FileStatus
from ingest_service.domain.model import Batch, BatchProgress, FileView, Instance, ReceivedFile
from ingest_service.ports import Page
from radrelay_shared.database import Database, Scope, enqueue, record_once
from radrelay_shared.events import Event, InstanceStored

BATCH_CHANNEL: Final = "ingest_batch"
"""NOTIFY channel; the payload is the identifier of a batch that changed."""

_AUDIT_LOCK: Final = 3_141_001
_OF_FILE: Final = and_(InstanceRow.tenant == BatchFileRow.tenant, InstanceRow.instance_id == BatchFileRow.instance_id)


class PostgresRecords:
    """Transactions of the runtime role."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator["PostgresTransaction"]:
        """Commits when the block ends, rolls back when it raises."""
        async with self._database.transaction(scope) as session:
            yield PostgresTransaction(session)


class PostgresTransaction:
    """What can be read and written in one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add_batch(self, batch: Batch) -> None:
        """Record a new batch."""
        await self._session.execute(insert(BatchRow).values(asdict(batch)))

    async def find_batch(self, batch_id: UUID) -> BatchProgress | None:
        """A batch and its counts."""
        row = await self._session.scalar(select(BatchRow).where(BatchRow.batch_id == batch_id))
        if row is None:
            return None
        counts = await self._counts([batch_id])
        return BatchProgress(mapping.batch_of(row), counts[batch_id])

    async def list_batches(self, page: Page) -> Sequence[BatchProgress]:
        """Batches, newest first."""
        query = select(BatchRow).order_by(BatchRow.created_at.desc(), BatchRow.batch_id.desc()).limit(page.limit)
        if page.after is not None:
            query = query.where(tuple_(BatchRow.created_at, BatchRow.batch_id) < tuple_(*page.after))
        rows = (await self._session.scalars(query)).all()
        counts = await self._counts([row.batch_id for row in rows])
        return [BatchProgress(mapping.batch_of(row), counts[row.batch_id]) for row in rows]

    async def _counts(self, batch_ids: Sequence[UUID]) -> defaultdict[UUID, Counts]:
        """Counted from the rows each time: there is no counter that could drift."""
        status = func.coalesce(InstanceRow.status, FileStatus.REJECTED.value)
        query = (
            select(BatchFileRow.batch_id, status, func.count())
            .outerjoin(InstanceRow, _OF_FILE)
            .where(BatchFileRow.batch_id.in_(batch_ids))
            .group_by(BatchFileRow.batch_id, status)
        )
        numbers: defaultdict[UUID, dict[str, int]] = defaultdict(dict)
        for batch_id, name, number in await self._session.execute(query):
            numbers[batch_id][name] = number
        return defaultdict(Counts, {batch_id: Counts(**by_status) for batch_id, by_status in numbers.items()})

    async def is_receiving(self, batch_id: UUID) -> bool:
        """Whether the batch is open. The lock is the one that foreign keys take; closing waits for it."""
        query = (
            select(BatchRow.closed_at).where(BatchRow.batch_id == batch_id).with_for_update(read=True, key_share=True)
        )
        row = (await self._session.execute(query)).one_or_none()
        return row is not None and row.closed_at is None

    async def close_batch(self, batch_id: UUID, at: datetime) -> bool:
        """Close the batch, after the files that are being recorded; False when it was closed before."""
        open_batch = select(BatchRow.batch_id).where(BatchRow.batch_id == batch_id, BatchRow.closed_at.is_(None))
        if await self._session.scalar(open_batch.with_for_update()) is None:
            return False
        await self._session.execute(update(BatchRow).where(BatchRow.batch_id == batch_id).values(closed_at=at))
        await self._notify(batch_id)
        return True

    async def add_instance(self, instance: Instance) -> bool:
        """Record a new image; False where its content or its SOP Instance UID is there already."""
        statement = (
            insert(InstanceRow)
            .values(mapping.instance_values(instance))
            .on_conflict_do_nothing()
            .returning(InstanceRow.instance_id)
        )
        return await self._session.scalar(statement) is not None

    async def find_instance_uid(self, instance_id: UUID) -> str | None:
        """The SOP Instance UID of a stored image."""
        query = select(InstanceRow.sop_instance_uid).where(InstanceRow.instance_id == instance_id)
        return await self._session.scalar(query)

    async def accept_file(self, batch: Batch, file: ReceivedFile, instance_id: UUID, at: datetime) -> None:
        """Record that a file of the batch is this image."""
        outcome = {"instance_id": instance_id, "reason": None, "detail": None}
        await self._record_file(batch, file, outcome, at)

    async def refuse_file(self, batch: Batch, file: ReceivedFile, reason: str, detail: str, at: datetime) -> None:
        """Record that a file of the batch was refused; one that was accepted before stays accepted."""
        await self._record_file(batch, file, {"instance_id": None, "reason": reason, "detail": detail}, at)

    async def _record_file(self, batch: Batch, file: ReceivedFile, outcome: dict[str, Any], at: datetime) -> None:
        """The same file sent again gets the same row, so that a client may repeat an upload that broke off."""
        values = {"tenant": batch.tenant, "batch_id": batch.batch_id, "owner_id": batch.owner_id, "received_at": at}
        statement = (
            insert(BatchFileRow)
            .values(values | asdict(file) | outcome)
            .on_conflict_do_update(
                index_elements=["tenant", "batch_id", "name", "fingerprint"],
                set_=outcome,
                where=BatchFileRow.instance_id.is_(None),
            )
        )
        await self._session.execute(statement)
        await self._notify(batch.batch_id)

    async def list_files(self, batch_id: UUID, page: Page) -> Sequence[FileView]:
        """Files of a batch by name."""
        position = tuple_(BatchFileRow.name, BatchFileRow.fingerprint)
        query = (
            select(BatchFileRow, InstanceRow)
            .outerjoin(InstanceRow, _OF_FILE)
            .where(BatchFileRow.batch_id == batch_id)
            .order_by(BatchFileRow.name, BatchFileRow.fingerprint)
            .limit(page.limit)
        )
        if page.after is not None:
            query = query.where(position > tuple_(*page.after))
        return [mapping.file_view_of(row, instance) for row, instance in await self._session.execute(query)]

    async def mark_processing(self, instance_id: UUID, at: datetime) -> bool:
        """Where the lifecycle allows it, say that a worker has the image."""
        return await self._mark(instance_id, FileStatus.PROCESSING, at)

    async def mark_reported(self, instance_id: UUID, report_id: UUID, at: datetime) -> bool:
        """Where the lifecycle allows it, point to the report; a failure declared before is forgotten."""
        return await self._mark(instance_id, FileStatus.REPORTED, at, report_id=report_id, reason=None, detail=None)

    async def mark_failed(self, instance_id: UUID, reason: str, detail: str, at: datetime) -> bool:
        """Where the lifecycle allows it, say why there will be no report."""
        return await self._mark(instance_id, FileStatus.FAILED, at, reason=reason, detail=detail)

    async def _mark(self, instance_id: UUID, status: FileStatus, at: datetime, **values: Any) -> bool:
        statement = (
            update(InstanceRow)
            .where(InstanceRow.instance_id == instance_id, InstanceRow.status.in_(ALLOWED_FROM[status]))
            .values(status=status.value, status_at=at, **values)
            .returning(InstanceRow.instance_id)
        )
        if await self._session.scalar(statement) is None:
            return False
        holders = select(BatchFileRow.batch_id).where(BatchFileRow.instance_id == instance_id).distinct()
        for batch_id in (await self._session.scalars(holders)).all():
            await self._notify(batch_id)
        return True

    async def announce(self, event: Event[InstanceStored]) -> None:
        """Put an event in the outbox."""
        await enqueue(self._session, OutboxRow, event)

    async def first_time(self, consumer: str, event: Event[Any]) -> bool:
        """Record in the inbox that the event is applied now; False when it was before."""
        return await record_once(self._session, InboxRow, consumer=consumer, event=event)

    async def audit(self, fact: AuditFact) -> None:
        """Append to the tenant's audit chain; the lock orders its writers until they commit."""
        lock = text("SELECT pg_advisory_xact_lock(:lock, hashtext(:tenant))")
        await self._session.execute(lock, {"lock": _AUDIT_LOCK, "tenant": fact.tenant})
        newest = select(AuditRow).order_by(AuditRow.sequence.desc()).limit(1)
        row = await self._session.scalar(newest)
        record = chain(fact, mapping.audit_record_of(row) if row else None)
        await self._session.execute(insert(AuditRow).values(mapping.audit_values(record)))

    async def _notify(self, batch_id: UUID) -> None:
        await self._session.execute(
            text("SELECT pg_notify(:channel, :payload)"), {"channel": BATCH_CHANNEL, "payload": str(batch_id)}
        )
