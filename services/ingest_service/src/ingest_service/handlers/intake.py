"""Taking in one file: judge, store, record, announce; or refuse and say why."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from ingest_service import metrics
from ingest_service.domain.audit import AuditAction, AuditFact
from ingest_service.domain.dicom import DicomFacts
from ingest_service.domain.identity import instance_id_of
from ingest_service.domain.model import Accepted, Batch, Instance, Outcome, ReceivedFile, Rejected
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.ports import Intake, Records, Transaction
from radrelay_shared.database import Scope
from radrelay_shared.events import InstanceStored, make_event
from radrelay_shared.http import Conflict
from radrelay_shared.objects import keys

EVENT_SOURCE: Final = "/radrelay/ingest"
DICOM_MEDIA_TYPE: Final = "application/dicom"


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


async def receive_file(intake: Intake, caller: Scope, batch: Batch, file: SpooledFile) -> Outcome:
    """Take in one DICOM file: durable, recorded and announced when this returns, or refused with a reason.

    Raises:
        Conflict: the batch was closed meanwhile.
    """
    instance_id = instance_id_of(batch.tenant, batch.owner_id, file.sha256)
    async with intake.records.transaction(caller) as tx:
        known = await tx.find_instance_uid(instance_id) is not None
    if known and (repeat := await register_repeat(intake.records, caller, batch, file.received, instance_id)):
        return repeat
    try:
        facts = await intake.validator.validate(file.path)
    except Refusal as refusal:
        return await reject_file(intake.records, caller, batch, file.received, refusal)
    instance = _instance(batch, file, instance_id, facts)
    await intake.objects.put_file(instance.object_key, file.path, content_type=DICOM_MEDIA_TYPE)
    return await register_instance(intake.records, caller, batch, file.received, instance)


async def register_instance(
    records: Records, caller: Scope, batch: Batch, file: ReceivedFile, instance: Instance
) -> Outcome:
    """Record and announce an image whose object is stored, in one transaction.

    Where somebody was faster with the same bytes, the file points to that image. Where the owner's SOP Instance UID
    has other content, the file is refused.

    Raises:
        Conflict: the batch was closed meanwhile.
    """
    async with records.transaction(caller) as tx:
        await _check_receiving(tx, batch)
        new = await tx.add_instance(instance)
        if new:
            await tx.accept_file(batch, file, instance.instance_id, instance.received_at)
            await tx.announce(make_event(_stored(instance), tenant=instance.tenant, source=EVENT_SOURCE))
            await tx.audit(_fact(AuditAction.FILE_ACCEPTED, caller, batch, file, instance_id=instance.instance_id))
    if not new:
        repeat = await register_repeat(records, caller, batch, file, instance.instance_id)
        return repeat or await reject_file(records, caller, batch, file, _conflict())
    metrics.FILES_ACCEPTED.labels(repeated="no").inc()
    metrics.BYTES_STORED.inc(instance.size_bytes)
    return Accepted(file.name, instance.instance_id, instance.facts.sop_instance_uid, repeated=False)


async def register_repeat(
    records: Records, caller: Scope, batch: Batch, file: ReceivedFile, instance_id: UUID
) -> Accepted | None:
    """Where the image is there already, record that this file is it; nothing is stored or announced again.

    Raises:
        Conflict: the batch was closed meanwhile.
    """
    async with records.transaction(caller) as tx:
        await _check_receiving(tx, batch)
        uid = await tx.find_instance_uid(instance_id)
        if uid is None:
            return None
        await tx.accept_file(batch, file, instance_id, datetime.now(UTC))
        await tx.audit(_fact(AuditAction.FILE_REPEATED, caller, batch, file, instance_id=instance_id))
    metrics.FILES_ACCEPTED.labels(repeated="yes").inc()
    return Accepted(file.name, instance_id, uid, repeated=True)


async def reject_file(records: Records, caller: Scope, batch: Batch, file: ReceivedFile, refusal: Refusal) -> Rejected:
    """Record that a file was refused, and why.

    Raises:
        Conflict: the batch was closed meanwhile.
    """
    async with records.transaction(caller) as tx:
        await _check_receiving(tx, batch)
        await tx.refuse_file(batch, file, refusal.reason, refusal.detail, datetime.now(UTC))
        await tx.audit(_fact(AuditAction.FILE_REJECTED, caller, batch, file, reason=refusal.reason))
    metrics.FILES_REJECTED.labels(reason=refusal.reason).inc()
    return Rejected(file.name, refusal.reason, refusal.detail)


async def _check_receiving(tx: Transaction, batch: Batch) -> None:
    if not await tx.is_receiving(batch.batch_id):
        raise Conflict(code="batch_closed", detail="The batch is closed; open another one.")


def _conflict() -> Refusal:
    detail = "this SOP Instance UID was received before with other content"
    return Refusal(RejectReason.CONFLICTING_SOP_INSTANCE, detail)


def _instance(batch: Batch, file: SpooledFile, instance_id: UUID, facts: DicomFacts) -> Instance:
    return Instance(
        instance_id=instance_id,
        tenant=batch.tenant,
        owner_id=batch.owner_id,
        batch_id=batch.batch_id,
        facts=facts,
        object_key=keys.instance(batch.tenant, instance_id),
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        priority=batch.priority,
        received_at=datetime.now(UTC),
    )


def _stored(instance: Instance) -> InstanceStored:
    facts = instance.facts
    return InstanceStored(
        instance_id=instance.instance_id,
        batch_id=instance.batch_id,
        owner_id=instance.owner_id,
        sop_instance_uid=facts.sop_instance_uid,
        sop_class_uid=facts.sop_class_uid,
        study_instance_uid=facts.study_instance_uid,
        series_instance_uid=facts.series_instance_uid,
        modality=facts.modality,
        body_part=facts.body_part,
        transfer_syntax_uid=facts.transfer_syntax_uid,
        rows=facts.rows,
        columns=facts.columns,
        frames=facts.frames,
        object_key=instance.object_key,
        size_bytes=instance.size_bytes,
        sha256=instance.sha256,
        priority=instance.priority,
        received_at=instance.received_at,
    )


def _fact(
    action: AuditAction,
    caller: Scope,
    batch: Batch,
    file: ReceivedFile,
    *,
    instance_id: UUID | None = None,
    reason: RejectReason | None = None,
) -> AuditFact:
    return AuditFact(
        tenant=batch.tenant,
        actor=caller.owner_id,
        action=action,
        at=datetime.now(UTC),
        batch_id=batch.batch_id,
        instance_id=instance_id,
        fingerprint=file.fingerprint,
        reason=reason,
    )
