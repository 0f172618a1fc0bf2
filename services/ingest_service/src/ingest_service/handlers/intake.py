"""Taking in one file: judge, store, record, announce; or refuse and say why."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from ingest_service import metrics
from ingest_service.domain.audit import AuditAction
from ingest_service.domain.dicom import DicomFacts
from ingest_service.domain.identity import InstanceUids, SopReference, instance_id_of, rejected_id_of
from ingest_service.domain.model import (
    Batch,
    Instance,
    Outcome,
    ReceivedFile,
    Registration,
    Rejected,
    RejectedFile,
    SealedPatient,
    Upload,
)
from ingest_service.domain.quota import check_fits
from ingest_service.domain.reasons import NOT_KEPT, Refusal, RejectReason
from ingest_service.handlers.registering import check_receiving, file_fact, register_repeat, register_restored
from ingest_service.handlers.storing import hold, put
from ingest_service.ports import Intake, Records, Transaction
from radrelay_shared.database import Scope
from radrelay_shared.objects import keys
from radrelay_shared.observability import current_traceparent

DICOM_MEDIA_TYPE: Final = "application/dicom"
REJECTED_MEDIA_TYPE: Final = "application/octet-stream"
"""A browser opens no such thing."""


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """A whole file on disk, hashed."""

    name: str
    """Fit to show; never a path."""
    path: Path
    size_bytes: int
    sha256: str
    is_archive: bool = False
    """Its first bytes are those of a ZIP archive."""

    @property
    def received(self) -> ReceivedFile:
        """What is recorded of it."""
        return ReceivedFile(self.name, self.sha256)


@dataclass(frozen=True, slots=True)
class _Content:
    """What is stored of a file: the file itself, or what de-identification made of it."""

    path: Path
    size_bytes: int
    sha256: str
    facts: DicomFacts
    patient: SealedPatient | None = None


async def receive_file(
    intake: Intake, caller: Scope, batch: Batch, file: SpooledFile, *, study_uid: str | None = None
) -> Outcome:
    """Take in one DICOM file: durable, recorded and announced when this returns, or refused with a reason.

    Where the tenant de-identifies, nothing else than the result is stored; the outcome names the UIDs that were sent.
    Where `study_uid` is given, images of other studies are refused.

    Raises:
        Conflict: the batch was closed meanwhile.
    """
    instance_id = instance_id_of(batch.tenant, batch.owner_id, file.sha256)
    quota = intake.quota_of(batch.tenant)
    standing = await intake.register.look_up(caller, batch, instance_id)
    known = standing.known
    sent_sop: SopReference | None = None
    try:
        if known is not None and not known.is_lost:
            renamed = batch.tenant in intake.deidentifiers
            sent = (await intake.validator.validate(file.path)).uids if renamed else known.uids
            _check_study(sent, study_uid)
            if repeat := await register_repeat(intake.records, caller, batch, file.received, instance_id):
                return replace(repeat, sop=sent.sop)
            known = None  # erased since
        facts = await intake.validator.validate(file.path)
        sent_sop = facts.sop
        _check_study(facts.uids, study_uid)
        # Looked at before the object is put, so that what does not fit is not stored; it is counted with the row.
        if known is None:
            check_fits(quota, standing.used.plus_file(file.size_bytes), facts.sop)
        async with _content_of(intake, batch.tenant, file, facts) as content:
            instance = _instance(batch, instance_id, content)
            upload = Upload(instance.object_key, content.path, content.size_bytes, content.sha256, DICOM_MEDIA_TYPE)
            is_new = await put(intake.objects, upload, intake.store_timeout_s)
            outcome = None
            if known is not None:
                outcome = await register_restored(intake.records, caller, batch, file.received, instance)
            if outcome is None:
                found = None if is_new else upload
                registration = Registration(batch, file.received, instance, quota, content.patient, found)
                outcome = await intake.register.add(caller, registration)
        return replace(outcome, sop=sent_sop)
    except Refusal as refusal:
        # Whoever sent it is told of what was sent, not of what de-identification made of it.
        refusal.sop = sent_sop or refusal.sop
        return await _reject_and_keep(intake, caller, batch, file, refusal)


async def _reject_and_keep(
    intake: Intake, caller: Scope, batch: Batch, file: SpooledFile, refusal: Refusal
) -> Rejected:
    """Record that a file was refused, and store it to be looked into, unless it is not kept or is already."""
    kept = await _to_keep(intake, caller, batch, file, refusal)
    if kept is None:
        return await reject_file(intake.records, caller, batch, file.received, refusal)
    upload = Upload(kept.object_key, file.path, kept.size_bytes, file.sha256, REJECTED_MEDIA_TYPE)
    is_new = await put(intake.objects, upload, intake.store_timeout_s)

    async def keep(tx: Transaction) -> None:
        if not is_new:
            await hold(tx, intake.objects, upload, intake.store_timeout_s)
        await tx.keep_rejected(kept)

    return await reject_file(intake.records, caller, batch, file.received, refusal, keep=keep)


async def _to_keep(
    intake: Intake, caller: Scope, batch: Batch, file: SpooledFile, refusal: Refusal
) -> RejectedFile | None:
    """What is recorded of a refused file that is kept; None where it is not, or is already."""
    if refusal.reason in NOT_KEPT or batch.tenant in intake.deidentifiers:
        return None
    rejected_id = rejected_id_of(batch.batch_id, file.name, file.sha256)
    async with intake.records.transaction(caller) as tx:
        if await tx.find_rejected(rejected_id) is not None:
            return None
    now = datetime.now(UTC)
    return RejectedFile(
        rejected_id=rejected_id,
        tenant=batch.tenant,
        owner_id=batch.owner_id,
        batch_id=batch.batch_id,
        name=file.name,
        fingerprint=file.sha256,
        reason=refusal.reason,
        detail=refusal.detail,
        size_bytes=file.size_bytes,
        object_key=keys.rejected(batch.tenant, rejected_id),
        rejected_at=now,
        kept_until=now + timedelta(seconds=intake.rejected_retention_s),
    )


@asynccontextmanager
async def _content_of(intake: Intake, tenant: str, file: SpooledFile, facts: DicomFacts) -> AsyncIterator[_Content]:
    """What is stored of a validated file, on disk while the block runs.

    Raises:
        Refusal: the tenant de-identifies, and this file cannot be.
    """
    deidentifier = intake.deidentifiers.get(tenant)
    if deidentifier is None:
        yield _Content(file.path, file.size_bytes, file.sha256, facts)
        return
    path = intake.new_path()
    try:
        done = await deidentifier.deidentify(file.path, path)
        yield _Content(path, done.size_bytes, done.sha256, done.facts, done.patient)
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)


async def reject_file(
    records: Records,
    caller: Scope,
    batch: Batch,
    file: ReceivedFile,
    refusal: Refusal,
    *,
    keep: Callable[[Transaction], Awaitable[None]] | None = None,
) -> Rejected:
    """Record that a file was refused and why; `keep` records in the same transaction where it is kept.

    Raises:
        Conflict: the batch was closed meanwhile.
    """
    async with records.transaction(caller) as tx:
        await check_receiving(tx, batch)
        await tx.refuse_file(batch, file, refusal.reason, refusal.detail, datetime.now(UTC))
        if keep is not None:
            await keep(tx)
        await tx.audit(file_fact(AuditAction.FILE_REJECTED, caller, batch, file, reason=refusal.reason))
    metrics.FILES_REJECTED.labels(reason=refusal.reason).inc()
    return Rejected(file.name, refusal.reason, refusal.detail, refusal.sop)


def _check_study(uids: InstanceUids, wanted: str | None) -> None:
    if wanted not in {None, uids.study_instance_uid}:
        detail = "the Study Instance UID is not the one that the request names"
        raise Refusal(RejectReason.OTHER_STUDY, detail, uids.sop)


def _instance(batch: Batch, instance_id: UUID, content: _Content) -> Instance:
    return Instance(
        instance_id=instance_id,
        tenant=batch.tenant,
        owner_id=batch.owner_id,
        batch_id=batch.batch_id,
        facts=content.facts,
        object_key=keys.instance(batch.tenant, instance_id),
        size_bytes=content.size_bytes,
        sha256=content.sha256,
        priority=batch.priority,
        received_at=datetime.now(UTC),
        traceparent=current_traceparent(),
    )
