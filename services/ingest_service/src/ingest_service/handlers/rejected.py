"""Files that were refused: listed, looked into, and sent through validation again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from ingest_service.domain.audit import AuditAction
from ingest_service.domain.model import Accepted, Batch, Outcome, Rejected, RejectedFile
from ingest_service.domain.reasons import Refusal
from ingest_service.handlers.intake import SpooledFile, receive_file
from ingest_service.ports import Intake, Page, Records, RejectedSelection
from radrelay_shared.audit import AuditFact
from radrelay_shared.database import Scope
from radrelay_shared.http import Forbidden, NotFound
from radrelay_shared.objects import ObjectNotFound


async def list_rejected(
    records: Records, caller: Scope, chosen: RejectedSelection, page: Page
) -> Sequence[RejectedFile]:
    """The rejected files that the caller may see, newest first."""
    now = datetime.now(UTC)
    async with records.transaction(caller) as tx:
        found = await tx.list_rejected(chosen, page, now)
        fact = AuditFact(caller.tenant, caller.owner_id, AuditAction.REJECTED_LISTED, now, chosen.batch_id)
        await tx.audit(fact)
    return found


@dataclass(frozen=True, slots=True)
class Resubmitted:
    """What became of a rejected file that went through validation again."""

    outcome: Outcome
    batch_id: UUID
    """The batch that it belongs to now."""


@asynccontextmanager
async def rejected_content(intake: Intake, caller: Scope, rejected_id: UUID) -> AsyncIterator[Path]:
    """The bytes of a rejected file on this disk while the block runs, for a tenant administrator.

    Raises:
        NotFound, Forbidden: see `_of_administrator`; NotFound also where the bytes are gone.
    """
    file = await _of_administrator(intake.records, caller, rejected_id)
    await _record(intake.records, caller, file, AuditAction.REJECTED_READ)
    async with _spooled(intake, file) as path:
        yield path


async def resubmit_rejected(intake: Intake, caller: Scope, rejected_id: UUID) -> Resubmitted:
    """Send a rejected file through validation again, for a tenant administrator.

    Where it is valid now, it is taken into its batch if that is open, else into a new one of the same owner, and is
    no longer kept as rejected. Where it is not, nothing changes.

    Raises:
        NotFound, Forbidden: see `_of_administrator`; NotFound also where the bytes are gone.
        Conflict: the batch was closed in this moment.
    """
    file = await _of_administrator(intake.records, caller, rejected_id)
    await _record(intake.records, caller, file, AuditAction.REJECTED_RESUBMITTED)
    async with _spooled(intake, file) as path:
        try:
            await intake.validator.validate(path)
        except Refusal as refusal:
            return Resubmitted(Rejected(file.name, refusal.reason, refusal.detail), file.batch_id)
        batch, is_new = await _open_batch(intake.records, caller, file)
        spooled = SpooledFile(file.name, path, file.size_bytes, file.fingerprint)
        outcome = await receive_file(intake, caller, batch, spooled)
    if isinstance(outcome, Accepted):
        async with intake.records.transaction(caller) as tx:
            await tx.expire_rejected(rejected_id, datetime.now(UTC))
    if is_new:
        await _close(intake.records, caller, batch)
    return Resubmitted(outcome, batch.batch_id)


async def _of_administrator(records: Records, caller: Scope, rejected_id: UUID) -> RejectedFile:
    """A rejected file that is kept.

    Raises:
        NotFound: the caller sees none, or its time has passed.
        Forbidden: the caller sees it, and is no administrator.
    """
    async with records.transaction(caller) as tx:
        file = await tx.find_rejected(rejected_id)
    if file is None or file.kept_until <= datetime.now(UTC):
        raise _not_found()
    if caller.role != "tenant_admin":
        raise Forbidden(code="not_tenant_admin", detail="Only a tenant administrator looks into rejected files.")
    return file


def _not_found() -> NotFound:
    return NotFound(code="rejected_file_not_found", detail="There is no such rejected file, or it is kept no longer.")


@asynccontextmanager
async def _spooled(intake: Intake, file: RejectedFile) -> AsyncIterator[Path]:
    path = intake.new_path()
    try:
        await intake.objects.get_file(file.object_key, path)
        yield path
    except ObjectNotFound as error:
        raise _not_found() from error
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)


async def _record(records: Records, caller: Scope, file: RejectedFile, action: AuditAction) -> None:
    """Before it is done: what cannot be recorded does not happen."""
    async with records.transaction(caller) as tx:
        await tx.audit(
            AuditFact(
                tenant=file.tenant,
                actor=caller.owner_id,
                action=action,
                at=datetime.now(UTC),
                batch_id=file.batch_id,
                fingerprint=file.fingerprint,
                reason=file.reason,
            )
        )


async def _open_batch(records: Records, caller: Scope, file: RejectedFile) -> tuple[Batch, bool]:
    """The file's own batch if it is open, else a new one of the same owner; and whether it is new."""
    now = datetime.now(UTC)
    async with records.transaction(caller) as tx:
        own = await tx.find_batch(file.batch_id)
        if own is None:
            raise _not_found()
        if own.closed_at is None:
            return own, False
        batch = Batch(uuid4(), own.tenant, own.owner_id, own.label, own.priority, now, closed_at=None)
        await tx.add_batch(batch)
        await tx.audit(AuditFact(batch.tenant, caller.owner_id, AuditAction.BATCH_CREATED, now, batch.batch_id))
    return batch, True


async def _close(records: Records, caller: Scope, batch: Batch) -> None:
    now = datetime.now(UTC)
    async with records.transaction(caller) as tx:
        if await tx.close_batch(batch.batch_id, now):
            await tx.audit(AuditFact(batch.tenant, caller.owner_id, AuditAction.BATCH_CLOSED, now, batch.batch_id))
