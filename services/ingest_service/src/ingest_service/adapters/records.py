"""The database port on PostgreSQL."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ingest_service.adapters import mapping, object_statements, statements
from ingest_service.adapters.erasures import ErasureTransaction
from ingest_service.adapters.tables import AuditHeadRow, AuditRow, InboxRow, OutboxRow
from ingest_service.domain.lifecycle import ALLOWED_FROM, Counts, FileStatus
from ingest_service.domain.model import (
    Batch,
    BatchProgress,
    FileView,
    Instance,
    ReceivedFile,
    RejectedFile,
    SealedPatient,
    StoredInstance,
)
from ingest_service.domain.quota import Amounts
from ingest_service.domain.reconciling import ObjectRecord, Shelf
from ingest_service.ports import Page, RejectedSelection
from radrelay_shared.audit.tables import ChainStatements, ChainTransaction
from radrelay_shared.database import Database, Scope, enqueue, record_once
from radrelay_shared.events import Event

CHAIN: Final = ChainStatements(AuditRow, AuditHeadRow, lock_class=3141001)


class PostgresRecords:
    """Transactions of the runtime role."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator["PostgresTransaction"]:
        """Commits when the block ends, rolls back when it raises."""
        async with self._database.transaction(scope) as session:
            yield PostgresTransaction(session, await session.connection())


class PostgresTransaction(ChainTransaction, ErasureTransaction):
    """What can be read and written in one transaction."""

    def __init__(self, session: AsyncSession, connection: AsyncConnection) -> None:
        ChainTransaction.__init__(self, connection, CHAIN)
        ErasureTransaction.__init__(self, connection)
        self._session = session
        self._connection = connection

    async def add_batch(self, batch: Batch) -> bool:
        """Record a new batch; False where it is there already."""
        result = await self._connection.execute(statements.ADD_BATCH, asdict(batch))
        return result.first() is not None

    async def find_batch(self, batch_id: UUID) -> Batch | None:
        """A batch."""
        row = await self._first(statements.FIND_BATCH, batch_id=batch_id)
        return mapping.batch_of(row) if row else None

    async def find_batches(self, batch_ids: Sequence[UUID]) -> Mapping[UUID, Batch]:
        """Those of these batches that there are."""
        rows = await self._all(statements.FIND_BATCHES, batch_ids=batch_ids)
        return {row.batch_id: mapping.batch_of(row) for row in rows}

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

    async def awaits_uploads(self, batch_id: UUID) -> bool:
        """Whether resumable uploads of the batch have come whole and are not taken in yet."""
        return await self._first(statements.AWAITED_UPLOADS, batch_id=batch_id) is not None

    async def add_instances(self, instances: Sequence[Instance]) -> Collection[UUID]:
        """Record new images, and return which; the content or SOP Instance UID of the others is there already."""
        # In one order, so that two who add the same images wait for each other and not both for ever.
        values = [mapping.instance_values(each) for each in sorted(instances, key=lambda each: each.instance_id)]
        return {row.instance_id for row in await self._connection.execute(statements.ADD_INSTANCE, values)}

    async def find_instance(self, instance_id: UUID) -> StoredInstance | None:
        """A stored image; nobody else changes it until this transaction ends."""
        row = await self._first(statements.FIND_INSTANCE, instance_id=instance_id)
        return mapping.stored_instance_of(row) if row else None

    async def find_instances(self, instance_ids: Sequence[UUID]) -> Mapping[UUID, StoredInstance]:
        """Those of these images that are stored."""
        rows = await self._all(statements.FIND_INSTANCES, instance_ids=instance_ids)
        return {row.instance_id: mapping.stored_instance_of(row) for row in rows}

    async def find_named(self, owner_id: str, sop_instance_uid: str) -> UUID | None:
        """Which image of the owner has this SOP Instance UID."""
        row = await self._first(statements.FIND_NAMED, owner_id=owner_id, sop_instance_uid=sop_instance_uid)
        return row.instance_id if row else None

    async def hold_object(self, key: str) -> None:
        """Keep others who call this for the same key waiting until this transaction ends."""
        await self._connection.execute(object_statements.HOLD_OBJECT, {"key": key})

    async def object_records(self, shelf: Shelf, after: UUID | None, limit: int) -> Sequence[ObjectRecord]:
        """What the rows that follow `after` say of their objects, in the order of their keys."""
        if after is None:
            rows = await self._all(object_statements.LIST_OBJECTS[shelf], limit=limit)
        else:
            rows = await self._all(object_statements.LIST_OBJECTS_AFTER[shelf], limit=limit, after=after)
        return [mapping.object_record_of(row) for row in rows]

    async def object_record(self, shelf: Shelf, row_id: UUID) -> ObjectRecord | None:
        """What one row says of its object; nobody else changes the row until this transaction ends."""
        row = await self._first(object_statements.FIND_OBJECT[shelf], row_id=row_id)
        return mapping.object_record_of(row) if row else None

    async def mark_lost(self, instance_id: UUID, detail: str, at: datetime) -> None:
        """Record that the image's object is gone; where it still waited to be screened, it failed."""
        values = {"lost_instance_id": instance_id, "detail": detail, "at": at}
        await self._connection.execute(object_statements.MARK_LOST, values)
        await self._connection.execute(statements.NOTIFY_HOLDERS, {"instance_ids": [instance_id]})

    async def mark_found(self, instance_id: UUID, size_bytes: int, sha256: str) -> None:
        """Record that the image's object is there again, and what it is."""
        values = {"found_instance_id": instance_id, "found_size_bytes": size_bytes, "found_sha256": sha256}
        await self._connection.execute(object_statements.MARK_FOUND, values)

    async def restore_files(self, batch_id: UUID) -> int:
        """Take back that files of the batch were cancelled, and return how many."""
        rows = await self._all(statements.RESTORE_FILES, restored_batch_id=batch_id)
        await self._notify(batch_id)
        return len(rows)

    async def find_retryable(self, batch_id: UUID, limit: int) -> Sequence[UUID]:
        """Images of the batch that were cancelled, or failed for a reason that may pass; nobody else changes them."""
        return [row.instance_id for row in await self._all(statements.LOCK_RETRYABLE, batch_id=batch_id, limit=limit)]

    async def resubmit(self, instance_ids: Sequence[UUID], at: datetime) -> Sequence[Instance]:
        """Queue images again, each as another submission, where the lifecycle allows it; return those."""
        rows = await self._all(statements.RESUBMIT, instance_ids=instance_ids, at=at)
        await self._connection.execute(statements.NOTIFY_HOLDERS, {"instance_ids": instance_ids})
        return [mapping.instance_of(row) for row in rows]

    async def keep_patient(self, tenant: str, patient: SealedPatient, instance_id: UUID, at: datetime) -> None:
        """Record who is behind the pseudonym that an image carries."""
        values = {"tenant": tenant, "created_at": at} | asdict(patient)
        await self._connection.execute(statements.KEEP_PATIENT, values)
        use = {"tenant": tenant, "instance_id": instance_id, "pseudonym": patient.pseudonym}
        await self._connection.execute(statements.USE_PSEUDONYM, use)

    async def find_patient(self, pseudonym: str) -> bytes | None:
        """The sealed Patient ID behind a pseudonym."""
        row = await self._first(statements.FIND_PATIENT, pseudonym=pseudonym)
        return row.sealed_patient_id if row else None

    async def accept_files(self, files: Sequence[tuple[Batch, ReceivedFile, UUID]], at: datetime) -> None:
        """Record which image each file of a batch is; no file comes twice."""
        values = [mapping.file_values(batch, file, at, instance_id=instance_id) for batch, file, instance_id in files]
        await self._connection.execute(statements.ADD_FILE, values)

    async def refuse_file(self, batch: Batch, file: ReceivedFile, reason: str, detail: str, at: datetime) -> None:
        """Record that a file of the batch was refused; one that was accepted before stays accepted."""
        values = mapping.file_values(batch, file, at, reason=reason, detail=detail)
        await self._connection.execute(statements.ADD_FILE, values)

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

    async def find_cancellable(self, batch_id: UUID, limit: int) -> Sequence[UUID]:
        """Images that the batch waits for and nobody has begun with; nobody begins before this transaction ends."""
        rows = await self._all(statements.LOCK_CANCELLABLE, batch_id=batch_id, limit=limit)
        return [row.instance_id for row in rows]

    async def cancel(self, batch_id: UUID, instance_ids: Sequence[UUID], at: datetime) -> Sequence[Instance]:
        """Cancel files of the batch; return the images that no batch waits for any more, which are cancelled too."""
        await self._connection.execute(
            statements.CANCEL_FILES, {"cancelled_batch_id": batch_id, "instance_ids": instance_ids, "at": at}
        )
        rows = await self._all(statements.CANCEL_INSTANCES, instance_ids=instance_ids, at=at)
        await self._notify(batch_id)
        return [mapping.instance_of(row) for row in rows]

    async def keep_rejected(self, file: RejectedFile) -> None:
        """Record that a refused file is kept; one that is kept already stays as it is."""
        await self._connection.execute(statements.KEEP_REJECTED, asdict(file))

    async def find_rejected(self, rejected_id: UUID) -> RejectedFile | None:
        """A refused file that is kept, or whose time has passed and that nobody has removed yet."""
        row = await self._first(statements.FIND_REJECTED, rejected_id=rejected_id)
        return mapping.rejected_file_of(row) if row else None

    async def list_rejected(self, chosen: RejectedSelection, page: Page, now: datetime) -> Sequence[RejectedFile]:
        """Refused files that are kept, newest first; a position is (rejected_at, rejected_id)."""
        query, parameters = statements.LIST_REJECTED, {"limit": page.limit, "now": now}
        if chosen.reason is not None:
            query, parameters = query.where(statements.REJECTED_OF_REASON), parameters | {"reason": chosen.reason}
        if chosen.batch_id is not None:
            query, parameters = query.where(statements.REJECTED_OF_BATCH), parameters | {"batch_id": chosen.batch_id}
        if page.after is not None:
            rejected_at, rejected_id = page.after
            query = query.where(statements.REJECTED_AFTER)
            parameters |= {"rejected_at": rejected_at, "rejected_id": rejected_id}
        return [mapping.rejected_file_of(row) for row in await self._all(query, **parameters)]

    async def expire_rejected(self, rejected_id: UUID, at: datetime) -> None:
        """Say that a refused file is kept no longer."""
        await self._connection.execute(statements.EXPIRE_REJECTED, {"expired_id": rejected_id, "at": at})

    async def mark_processing(self, instance_id: UUID, submission: int, at: datetime) -> bool:
        """Where the lifecycle allows it, say that a worker has this submission of the image."""
        return await self._mark(instance_id, FileStatus.PROCESSING, at, submission=submission)

    async def mark_reported(self, instance_id: UUID, report_id: UUID, at: datetime) -> bool:
        """Where the lifecycle allows it, point to the report; a failure declared before is forgotten."""
        return await self._mark(instance_id, FileStatus.REPORTED, at, report_id=report_id)

    async def mark_failed(self, instance_id: UUID, submission: int, reason: str, detail: str, at: datetime) -> bool:
        """Where the lifecycle allows it, say why this submission brings no report."""
        return await self._mark(instance_id, FileStatus.FAILED, at, submission=submission, reason=reason, detail=detail)

    async def _mark(
        self,
        instance_id: UUID,
        status: FileStatus,
        at: datetime,
        *,
        submission: int | None = None,
        reason: str | None = None,
        detail: str | None = None,
        report_id: UUID | None = None,
    ) -> bool:
        of_submission = {} if submission is None else {"marked_submission": submission}
        changed = await self._first(
            statements.MARK_SUBMISSION if of_submission else statements.MARK_INSTANCE,
            **of_submission,
            marked_instance_id=instance_id,
            allowed_from=sorted(ALLOWED_FROM[status]),
            status=status.value,
            at=at,
            reason=reason,
            detail=detail,
            report_id=report_id,
        )
        if changed is not None:
            await self._connection.execute(statements.NOTIFY_HOLDERS, {"instance_ids": [instance_id]})
        return changed is not None

    async def used_on(self, day: date, owner_id: str) -> Amounts:
        """What the tenant and this owner have stored on a day."""
        row = (await self._connection.execute(statements.USED_ON, {"day": day, "owner_id": owner_id})).one()
        return Amounts(row.tenant_bytes, row.tenant_files, row.user_bytes)

    async def add_usage(self, batch: Batch, day: date, *, files: int, size_bytes: int) -> Amounts:
        """Count new images of the batch's owner; the tenant's row orders its writers until they commit."""
        of_whom = {"tenant": batch.tenant, "owner_id": batch.owner_id, "day": day}
        amounts = {"size_bytes": size_bytes, "files": files}
        used = (await self._connection.execute(statements.ADD_USAGE, of_whom | amounts)).one()
        return Amounts(used.tenant_bytes, used.tenant_files, used.user_bytes)

    async def announce(self, *events: Event[Any], traceparents: Sequence[str | None] | None = None) -> None:
        """Put events in the outbox; each belongs to the trace of now where none is given for it."""
        await enqueue(self._session, OutboxRow, *events, traceparents=traceparents)

    async def first_time(self, consumer: str, event: Event[Any]) -> bool:
        """Record in the inbox that the event is applied now; False when it was before."""
        return await record_once(self._session, InboxRow, consumer=consumer, event=event)

    async def _notify(self, batch_id: UUID) -> None:
        await self._connection.execute(statements.NOTIFY, {"batch_id": str(batch_id)})

    async def _first(self, statement: Any, **parameters: Any) -> Row[Any] | None:
        return (await self._connection.execute(statement, parameters)).first()

    async def _all(self, statement: Any, **parameters: Any) -> Sequence[Row[Any]]:
        return (await self._connection.execute(statement, parameters)).all()
