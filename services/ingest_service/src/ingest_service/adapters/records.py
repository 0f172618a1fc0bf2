"""The database port on PostgreSQL."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ingest_service.adapters import mapping, statements
from ingest_service.adapters.tables import InboxRow, OutboxRow
from ingest_service.domain.audit import AuditFact, chain
from ingest_service.domain.lifecycle import ALLOWED_FROM, Counts, FileStatus
from ingest_service.domain.model import Batch, BatchProgress, FileView, Instance, ReceivedFile
from ingest_service.ports import Page
from radrelay_shared.database import Database, Scope, enqueue, record_once
from radrelay_shared.events import Event, InstanceStored


class PostgresRecords:
    """Transactions of the runtime role."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator["PostgresTransaction"]:
        """Commits when the block ends, rolls back when it raises."""
        async with self._database.transaction(scope) as session:
            yield PostgresTransaction(session, await session.connection())


class PostgresTransaction:
    """What can be read and written in one transaction."""

    def __init__(self, session: AsyncSession, connection: AsyncConnection) -> None:
        self._session = session
        self._connection = connection

    async def add_batch(self, batch: Batch) -> None:
        """Record a new batch."""
        await self._connection.execute(statements.ADD_BATCH, asdict(batch))

    async def find_batch(self, batch_id: UUID) -> Batch | None:
        """A batch."""
        row = await self._first(statements.FIND_BATCH, batch_id=batch_id)
        return mapping.batch_of(row) if row else None

    async def list_batches(self, page: Page) -> Sequence[BatchProgress]:
        """Batches, newest first."""
        if page.after is None:
            rows = await self._all(statements.LIST_BATCHES, limit=page.limit)
        else:
            created_at, batch_id = page.after
            rows = await self._all(
                statements.LIST_BATCHES_AFTER, limit=page.limit, created_at=created_at, batch_id=batch_id
            )
        counts = await self._counts([row.batch_id for row in rows])
        return [BatchProgress(mapping.batch_of(row), counts[row.batch_id]) for row in rows]

    async def progress_of(self, batch: Batch) -> BatchProgress:
        """Where the files of a batch stand."""
        return BatchProgress(batch, (await self._counts([batch.batch_id]))[batch.batch_id])

    async def _counts(self, batch_ids: Sequence[UUID]) -> defaultdict[UUID, Counts]:
        numbers: defaultdict[UUID, dict[str, int]] = defaultdict(dict)
        for row in await self._all(statements.COUNT_FILES, batch_ids=batch_ids):
            numbers[row.batch_id][row.status] = row.number
        return defaultdict(Counts, {batch_id: Counts(**by_status) for batch_id, by_status in numbers.items()})

    async def is_receiving(self, batch_id: UUID) -> bool:
        """Whether the batch is open; it stays so until this transaction ends."""
        row = await self._first(statements.LOCK_OPENNESS, batch_id=batch_id)
        return row is not None and row.closed_at is None

    async def close_batch(self, batch_id: UUID, at: datetime) -> bool:
        """Close the batch, after the files that are being recorded; False when it was closed before."""
        if await self._first(statements.LOCK_OPEN_BATCH, batch_id=batch_id) is None:
            return False
        await self._connection.execute(statements.CLOSE_BATCH, {"closed_batch_id": batch_id, "at": at})
        await self._notify(batch_id)
        return True

    async def add_instance(self, instance: Instance) -> bool:
        """Record a new image; False where its content or its SOP Instance UID is there already."""
        result = await self._connection.execute(statements.ADD_INSTANCE, mapping.instance_values(instance))
        return result.first() is not None

    async def find_instance_uid(self, instance_id: UUID) -> str | None:
        """The SOP Instance UID of a stored image."""
        row = await self._first(statements.FIND_INSTANCE_UID, instance_id=instance_id)
        return str(row.sop_instance_uid) if row else None

    async def accept_file(self, batch: Batch, file: ReceivedFile, instance_id: UUID, at: datetime) -> None:
        """Record that a file of the batch is this image."""
        await self._add_file(batch, file, at, instance_id=instance_id, reason=None, detail=None)

    async def refuse_file(self, batch: Batch, file: ReceivedFile, reason: str, detail: str, at: datetime) -> None:
        """Record that a file of the batch was refused; one that was accepted before stays accepted."""
        await self._add_file(batch, file, at, instance_id=None, reason=reason, detail=detail)

    async def _add_file(self, batch: Batch, file: ReceivedFile, at: datetime, **outcome: Any) -> None:
        values = {"tenant": batch.tenant, "batch_id": batch.batch_id, "owner_id": batch.owner_id, "received_at": at}
        await self._connection.execute(statements.ADD_FILE, values | asdict(file) | outcome)
        await self._notify(batch.batch_id)

    async def list_files(self, batch_id: UUID, page: Page) -> Sequence[FileView]:
        """Files of a batch by name."""
        if page.after is None:
            rows = await self._all(statements.LIST_FILES, batch_id=batch_id, limit=page.limit)
        else:
            name, fingerprint = page.after
            rows = await self._all(
                statements.LIST_FILES_AFTER, batch_id=batch_id, limit=page.limit, name=name, fingerprint=fingerprint
            )
        return [mapping.file_view_of(row) for row in rows]

    async def mark_processing(self, instance_id: UUID, at: datetime) -> bool:
        """Where the lifecycle allows it, say that a worker has the image."""
        return await self._mark(instance_id, FileStatus.PROCESSING, at)

    async def mark_reported(self, instance_id: UUID, report_id: UUID, at: datetime) -> bool:
        """Where the lifecycle allows it, point to the report; a failure declared before is forgotten."""
        return await self._mark(instance_id, FileStatus.REPORTED, at, report_id=report_id)

    async def mark_failed(self, instance_id: UUID, reason: str, detail: str, at: datetime) -> bool:
        """Where the lifecycle allows it, say why there will be no report."""
        return await self._mark(instance_id, FileStatus.FAILED, at, reason=reason, detail=detail)

    async def _mark(
        self,
        instance_id: UUID,
        status: FileStatus,
        at: datetime,
        *,
        reason: str | None = None,
        detail: str | None = None,
        report_id: UUID | None = None,
    ) -> bool:
        changed = await self._first(
            statements.MARK_INSTANCE,
            marked_instance_id=instance_id,
            allowed_from=sorted(ALLOWED_FROM[status]),
            status=status.value,
            at=at,
            reason=reason,
            detail=detail,
            report_id=report_id,
        )
        if changed is not None:
            await self._connection.execute(statements.NOTIFY_HOLDERS, {"instance_id": instance_id})
        return changed is not None

    async def announce(self, event: Event[InstanceStored]) -> None:
        """Put an event in the outbox."""
        await enqueue(self._session, OutboxRow, event)

    async def first_time(self, consumer: str, event: Event[Any]) -> bool:
        """Record in the inbox that the event is applied now; False when it was before."""
        return await record_once(self._session, InboxRow, consumer=consumer, event=event)

    async def audit(self, fact: AuditFact) -> None:
        """Append to the tenant's audit chain; the lock orders its writers until they commit."""
        await self._connection.execute(statements.LOCK_AUDIT, {"tenant": fact.tenant})
        row = await self._first(statements.NEWEST_AUDIT)
        record = chain(fact, mapping.audit_record_of(row) if row else None)
        await self._connection.execute(statements.ADD_AUDIT, mapping.audit_values(record))

    async def _notify(self, batch_id: UUID) -> None:
        await self._connection.execute(statements.NOTIFY, {"batch_id": str(batch_id)})

    async def _first(self, statement: Any, **parameters: Any) -> Row[Any] | None:
        return (await self._connection.execute(statement, parameters)).first()

    async def _all(self, statement: Any, **parameters: Any) -> Sequence[Row[Any]]:
        return (await self._connection.execute(statement, parameters)).all()
