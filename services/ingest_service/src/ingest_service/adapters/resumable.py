"""Resumable uploads on PostgreSQL.

Row security keeps tenants apart; each query names the owner too, since an administrator's scope is wider than their
own uploads. No lock is held while bytes arrive: a part is recorded only where the offset is still the one that it was
received for.
"""

from dataclasses import fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, delete, func, insert, or_, select, tuple_, update

from ingest_service.adapters import statements
from ingest_service.adapters.tables import Base
from ingest_service.domain.resumable import ClaimedUpload, OpenUploads, ResumableUpload, UploadPart
from radrelay_shared.database import Database, Scope
from radrelay_shared.http import Conflict
from radrelay_shared.observability import current_traceparent

_upload: Final = Base.metadata.tables["ingest.resumable_upload"]
_part: Final = Base.metadata.tables["ingest.upload_part"]
_COLUMNS: Final = [_upload.c[field.name] for field in fields(ResumableUpload)]
_WAITS: Final = (_upload.c.ended_at.is_(None), _upload.c.offset_bytes == _upload.c.length_bytes)


class PostgresUploads:
    """The port for uploads, as the runtime role."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, caller: Scope, upload: ResumableUpload, now: datetime) -> bool:
        """Record a new upload; False where its batch is closed."""
        values = {field.name: getattr(upload, field.name) for field in fields(ResumableUpload)}
        async with self._database.transaction(caller) as session:
            batch = (await session.execute(statements.LOCK_OPENNESS, {"batch_id": upload.batch_id})).first()
            if batch is None or batch.closed_at is not None:
                return False
            await session.execute(insert(_upload).values(**values, changed_at=now))
        return True

    async def find(self, caller: Scope, upload_id: UUID) -> ResumableUpload | None:
        """An upload of the caller's own."""
        query = select(*_COLUMNS).where(*_own(caller, upload_id))
        async with self._database.transaction(caller) as session:
            row = (await session.execute(query)).first()
        return _upload_of(row) if row else None

    async def open_of(self, caller: Scope, now: datetime) -> OpenUploads:
        """What the caller has begun and not finished."""
        query = select(func.count(), func.coalesce(func.sum(_upload.c.length_bytes), 0)).where(
            _upload.c.owner_id == caller.owner_id,
            _upload.c.ended_at.is_(None),
            or_(_upload.c.expires_at > now, _WAITS[1]),
        )
        async with self._database.transaction(caller) as session:
            number, length_bytes = (await session.execute(query)).one()
        return OpenUploads(number, int(length_bytes))

    async def append(
        self, caller: Scope, upload: ResumableUpload, part: UploadPart, now: datetime, expires_at: datetime
    ) -> ResumableUpload | None:
        """Record a part that follows what is there, and return the upload after it; None where it follows no more.

        Raises:
            Conflict: the batch was closed.
        """
        move = (
            update(_upload)
            .where(
                *_own(caller, upload.upload_id),
                _upload.c.offset_bytes == part.first_byte,
                _upload.c.ended_at.is_(None),
                _upload.c.expires_at > now,
            )
            .values(
                offset_bytes=_upload.c.offset_bytes + part.size_bytes,
                parts=_upload.c.parts + 1,
                changed_at=now,
                expires_at=expires_at,
                traceparent=current_traceparent(),
            )
            .returning(*_COLUMNS)
        )
        values = {"tenant": upload.tenant, "upload_id": upload.upload_id, "owner_id": upload.owner_id}
        values |= {field.name: getattr(part, field.name) for field in fields(UploadPart)}
        async with self._database.transaction(caller) as session:
            # Held until the commit: whoever closes the batch sees that it waits for this upload.
            batch = (await session.execute(statements.LOCK_OPENNESS, {"batch_id": upload.batch_id})).one()
            if batch.closed_at is not None:
                raise Conflict(code="batch_closed", detail="The batch is closed; open another one.")
            row = (await session.execute(move)).first()
            if row is None:
                return None
            await session.execute(insert(_part).values(**values))
        return _upload_of(row)

    async def terminate(self, caller: Scope, upload_id: UUID, now: datetime) -> None:
        """End an upload, whatever came of it; an earlier end stays."""
        statement = (
            update(_upload)
            .where(*_own(caller, upload_id))
            .values(ended_at=func.coalesce(_upload.c.ended_at, now), expires_at=now)
        )
        async with self._database.transaction(caller) as session:
            await session.execute(statement)


class PostgresUploadQueue:
    """The port for the queue of complete uploads, as the system role."""

    def __init__(self, system_database: Database) -> None:
        self._database = system_database

    async def claim(self, now: datetime, until: datetime) -> ClaimedUpload | None:
        """A complete upload that nobody takes in now, the oldest; nobody else gets it until the given time."""
        oldest = (
            select(_upload.c.tenant, _upload.c.upload_id)
            .where(*_WAITS, or_(_upload.c.claimed_until.is_(None), _upload.c.claimed_until <= now))
            .order_by(_upload.c.changed_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        claim_id = uuid4()
        claim = (
            update(_upload)
            .where(tuple_(_upload.c.tenant, _upload.c.upload_id).in_(oldest))
            .values(claim_id=claim_id, claimed_until=until, attempts=_upload.c.attempts + 1)
            .returning(*_COLUMNS, _upload.c.attempts, _upload.c.traceparent)
        )
        async with self._database.system_transaction() as session:
            row = (await session.execute(claim)).first()
            if row is None:
                return None
            parts = await session.execute(
                select(_part.c.first_byte, _part.c.size_bytes, _part.c.sha256)
                .where(_part.c.tenant == row.tenant, _part.c.upload_id == row.upload_id)
                .order_by(_part.c.first_byte)
            )
            stored = [UploadPart(*part) for part in parts]
            return ClaimedUpload(_upload_of(row), claim_id, row.attempts, stored, row.traceparent)

    async def renew(self, claim: ClaimedUpload, until: datetime) -> bool:
        """Keep it longer; False where somebody else has it meanwhile, or it has ended."""
        statement = update(_upload).where(*_claimed(claim)).values(claimed_until=until).returning(_upload.c.upload_id)
        async with self._database.system_transaction() as session:
            return (await session.execute(statement)).first() is not None

    async def release(self, claim: ClaimedUpload) -> None:
        """Give it back, as if it had not been claimed."""
        given_back = {"claim_id": None, "claimed_until": None, "attempts": _upload.c.attempts - 1}
        async with self._database.system_transaction() as session:
            await session.execute(update(_upload).where(*_claimed(claim)).values(given_back))

    async def end(self, claim: ClaimedUpload, now: datetime) -> bool:
        """Say that it was taken in; False where somebody else has it meanwhile, or it has ended."""
        statement = update(_upload).where(*_claimed(claim)).values(ended_at=now).returning(_upload.c.upload_id)
        async with self._database.system_transaction() as session:
            return (await session.execute(statement)).first() is not None

    async def expired(self, before: datetime, limit: int) -> list[ResumableUpload]:
        """Uploads that expired before the given time, oldest first; those that wait to be taken in stay."""
        over = or_(_upload.c.ended_at.is_not(None), _upload.c.offset_bytes < _upload.c.length_bytes)
        query = select(*_COLUMNS).where(over, _upload.c.expires_at < before).order_by(_upload.c.expires_at).limit(limit)
        async with self._database.system_transaction() as session:
            return [_upload_of(row) for row in await session.execute(query)]

    async def forget(self, upload: ResumableUpload) -> None:
        """Remove what is recorded of an upload, after its objects."""
        async with self._database.system_transaction() as session:
            for table in (_part, _upload):
                of_upload = (table.c.tenant == upload.tenant, table.c.upload_id == upload.upload_id)
                await session.execute(delete(table).where(*of_upload))


def _own(caller: Scope, upload_id: UUID) -> tuple[Any, ...]:
    return _upload.c.tenant == caller.tenant, _upload.c.owner_id == caller.owner_id, _upload.c.upload_id == upload_id


def _claimed(claim: ClaimedUpload) -> tuple[Any, ...]:
    upload = claim.upload
    return (
        _upload.c.tenant == upload.tenant,
        _upload.c.upload_id == upload.upload_id,
        _upload.c.claim_id == claim.claim_id,
        _upload.c.ended_at.is_(None),
    )


def _upload_of(row: Row[Any]) -> ResumableUpload:
    return ResumableUpload(**{field.name: getattr(row, field.name) for field in fields(ResumableUpload)})
