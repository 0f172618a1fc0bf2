"""Recording images whose objects are stored, and announcing them."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from uuid import UUID

from opentelemetry.trace import get_current_span

from ingest_service import metrics
from ingest_service.domain.audit import AuditAction
from ingest_service.domain.identity import SopReference
from ingest_service.domain.model import Accepted, Admission, Batch, Instance, ReceivedFile, Registration, Standing
from ingest_service.domain.quota import check_fits, day_of
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.handlers.storing import hold
from ingest_service.ports import Records, Transaction
from radrelay_shared.audit import AuditFact
from radrelay_shared.database import Scope
from radrelay_shared.events import Event, InstanceStored, make_event
from radrelay_shared.gathering import Gathering
from radrelay_shared.http import Conflict
from radrelay_shared.objects import ObjectStore
from radrelay_shared.observability import span_context_of

EVENT_SOURCE: Final = "/radrelay/ingest"
_AT_ONCE: Final = 32

_Whose = tuple[Scope, str]
"""Who asks, and whose batches."""


class GroupedRegister:
    """The register. Use as an async context manager: leaving it waits until nothing is being recorded."""

    def __init__(self, records: Records, objects: ObjectStore, store_timeout_s: float) -> None:
        """`store_timeout_s` bounds looking at an object, and putting it again."""
        self._records = records
        self._objects = objects
        self._store_timeout_s = store_timeout_s
        self._admissions: Gathering[Scope, UUID, Admission] = Gathering(
            self._admit, at_once=_AT_ONCE, name="admit uploads"
        )
        self._lookups: Gathering[_Whose, UUID, Standing] = Gathering(
            self._look_up, at_once=_AT_ONCE, name="look up images"
        )
        self._additions: Gathering[_Whose, Registration, Accepted] = Gathering(
            self._add, at_once=_AT_ONCE, name="register images"
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._admissions)
        await self._stack.enter_async_context(self._lookups)
        await self._stack.enter_async_context(self._additions)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def admit(self, caller: Scope, batch_id: UUID) -> Admission:
        """What is to be known before an upload into the batch is read."""
        return await self._admissions.do(caller, batch_id)

    async def look_up(self, caller: Scope, batch: Batch, instance_id: UUID) -> Standing:
        """What is to be known before a file of the batch is looked at."""
        return await self._lookups.do((caller, batch.owner_id), instance_id)

    async def add(self, caller: Scope, registration: Registration) -> Accepted:
        """Record and announce an image whose object is stored; raises what `_register_alone` does."""
        return await self._additions.do((caller, registration.batch.owner_id), registration)

    async def _admit(self, caller: Scope, batch_ids: Sequence[UUID]) -> Sequence[Admission]:
        async with self._records.transaction(caller) as tx:
            batches = await tx.find_batches(batch_ids)
            used = await tx.used_on(day_of(datetime.now(UTC)), caller.owner_id)
        return [Admission(batches.get(each), used) for each in batch_ids]

    async def _look_up(self, whose: _Whose, instance_ids: Sequence[UUID]) -> Sequence[Standing]:
        caller, owner_id = whose
        async with self._records.transaction(caller) as tx:
            known = await tx.find_instances(instance_ids)
            used = await tx.used_on(day_of(datetime.now(UTC)), owner_id)
        return [Standing(known.get(each), used) for each in instance_ids]

    async def _add(self, whose: _Whose, registrations: Sequence[Registration]) -> Sequence[Accepted | Exception]:
        caller, _ = whose
        if len(registrations) > 1 and await self._add_together(caller, registrations):
            return [_accepted(each) for each in registrations]
        return [await self._add_alone(caller, each) for each in registrations]

    async def _add_together(self, caller: Scope, registrations: Sequence[Registration]) -> bool:
        """Record all in one transaction; False, with nothing recorded, where one of them is a case of its own."""
        if len({each.instance.instance_id for each in registrations}) < len(registrations):
            return False
        try:
            async with self._records.transaction(caller) as tx:
                await self._record(tx, caller, registrations)
        except (_NotNew, Refusal, Conflict):
            return False
        return True

    async def _add_alone(self, caller: Scope, registration: Registration) -> Accepted | Exception:
        try:
            return await self._register_alone(caller, registration)
        except Exception as error:  # noqa: BLE001  # raised by whoever waits for this image
            return error

    async def _register_alone(self, caller: Scope, registration: Registration) -> Accepted:
        """Record and announce one image whose object is stored, in one transaction.

        Where somebody was faster with the same bytes, the file points to that image; where that is erased before it
        can be pointed to, the file is recorded as new after all.

        Raises:
            Refusal: the owner's SOP Instance UID has other content, or other files took what was left of the quota;
                nothing is recorded, and the object stays for the next try.
            Conflict: the batch was closed meanwhile.
        """
        instance, sop = registration.instance, registration.instance.facts.sop
        while True:
            try:
                async with self._records.transaction(caller) as tx:
                    await self._record(tx, caller, [registration])
                return _accepted(registration)
            except _NotNew:
                repeat = await register_repeat(
                    self._records, caller, registration.batch, registration.file, instance.instance_id
                )
                if repeat is not None:
                    return repeat
            async with self._records.transaction(caller) as tx:
                holder = await tx.find_named(instance.owner_id, sop.instance_uid)
            if holder not in (None, instance.instance_id):
                raise _conflict(sop)

    async def _record(self, tx: Transaction, caller: Scope, registrations: Sequence[Registration]) -> None:
        """Record and announce images of one owner.

        Raises:
            _NotNew, Refusal, Conflict: one of them is no new image, too much, or of a closed batch.
        """
        for batch in {each.batch.batch_id: each.batch for each in registrations}.values():
            await check_receiving(tx, batch)
        instances = [each.instance for each in registrations]
        if len(await tx.add_instances(instances)) < len(instances):
            raise _NotNew
        for each in registrations:
            if each.found is not None:
                await hold(tx, self._objects, each.found, self._store_timeout_s)
            if each.patient is not None:
                instance = each.instance
                await tx.keep_patient(instance.tenant, each.patient, instance.instance_id, instance.received_at)
        files = [(each.batch, each.file, each.instance.instance_id) for each in registrations]
        await tx.accept_files(files, instances[-1].received_at)
        traceparents = [each.traceparent for each in instances]
        await tx.announce(*map(stored_event, instances), traceparents=traceparents)
        last = registrations[-1]
        used = await tx.add_usage(
            last.batch,
            day_of(last.instance.received_at),
            files=len(instances),
            size_bytes=sum(each.size_bytes for each in instances),
        )
        check_fits(last.quota, used, last.instance.facts.sop)
        await tx.audit(
            *(
                file_fact(AuditAction.FILE_ACCEPTED, caller, batch, file, instance_id=instance_id)
                for batch, file, instance_id in files
            )
        )


class _NotNew(Exception):
    """Some image's content or SOP Instance UID is there already."""


def _accepted(registration: Registration) -> Accepted:
    instance = registration.instance
    metrics.FILES_ACCEPTED.labels(repeated="no").inc()
    metrics.BYTES_STORED.inc(instance.size_bytes)
    return Accepted(registration.file.name, instance.instance_id, instance.facts.sop, repeated=False)


async def register_repeat(
    records: Records, caller: Scope, batch: Batch, file: ReceivedFile, instance_id: UUID
) -> Accepted | None:
    """Where the image is there already, record that this file is it; nothing is stored again.

    It is announced again only where it was cancelled: somebody waits for it now.

    Raises:
        Conflict: the batch was closed meanwhile.
    """
    async with records.transaction(caller) as tx:
        await check_receiving(tx, batch)
        known = await tx.find_instance(instance_id)
        if known is None:
            return None
        at = datetime.now(UTC)
        await tx.accept_files([(batch, file, instance_id)], at)
        if known.is_cancelled:
            await submit_again(tx, [instance_id], at)
        await tx.audit(file_fact(AuditAction.FILE_REPEATED, caller, batch, file, instance_id=instance_id))
    metrics.FILES_ACCEPTED.labels(repeated="yes").inc()
    return Accepted(file.name, instance_id, known.uids.sop, repeated=True)


async def register_restored(
    records: Records, caller: Scope, batch: Batch, file: ReceivedFile, instance: Instance
) -> Accepted | None:
    """Record that the object of an image that was lost is there again, as `instance` has it, and that this file is it.

    It is announced again where it failed for want of its object, or was cancelled. None where the image is erased.

    Raises:
        Refusal: it is another image under its new name, as after the tenant's key to de-identify was changed.
        Conflict: the batch was closed meanwhile.
    """
    instance_id = instance.instance_id
    async with records.transaction(caller) as tx:
        await check_receiving(tx, batch)
        known = await tx.find_instance(instance_id)
        if known is None:
            return None
        if known.uids != instance.facts.uids:
            raise _conflict(instance.facts.sop)
        await tx.accept_files([(batch, file, instance_id)], instance.received_at)
        await tx.mark_found(instance_id, instance.size_bytes, instance.sha256)
        if known.waits_for_object or known.is_cancelled:
            await submit_again(tx, [instance_id], instance.received_at)
        facts = [file_fact(AuditAction.FILE_REPEATED, caller, batch, file, instance_id=instance_id)]
        if known.is_lost:
            facts.append(file_fact(AuditAction.INSTANCE_RESTORED, caller, batch, file, instance_id=instance_id))
        await tx.audit(*facts)
    metrics.FILES_ACCEPTED.labels(repeated="yes").inc()
    return Accepted(file.name, instance_id, known.uids.sop, repeated=True)


async def submit_again(tx: Transaction, instance_ids: Sequence[UUID], at: datetime) -> int:
    """Queue images again, where the lifecycle allows it, and announce them; return how many.

    They go on in the trace of now, which is linked to those of the uploads that brought them.
    """
    instances = await tx.resubmit(instance_ids, at)
    if instances:
        for instance in instances:
            get_current_span().add_link(span_context_of(instance.traceparent))
        await tx.announce(*map(stored_event, instances))
    return len(instances)


async def check_receiving(tx: Transaction, batch: Batch) -> None:
    """Go on only with a batch that is open, and stays so until the transaction ends.

    Raises:
        Conflict: it is closed.
    """
    if not await tx.is_receiving(batch.batch_id):
        raise Conflict(code="batch_closed", detail="The batch is closed; open another one.")


def _conflict(sop: SopReference) -> Refusal:
    detail = "this SOP Instance UID was received before with other content"
    return Refusal(RejectReason.CONFLICTING_SOP_INSTANCE, detail, sop)


def stored_event(instance: Instance) -> Event[InstanceStored]:
    """Say that the image is there to be screened."""
    facts = instance.facts
    data = InstanceStored(
        instance_id=instance.instance_id,
        batch_id=instance.batch_id,
        owner_id=instance.owner_id,
        sop_instance_uid=facts.sop_instance_uid,
        sop_class_uid=facts.sop_class_uid,
        study_instance_uid=facts.study_instance_uid,
        series_instance_uid=facts.series_instance_uid,
        modality=facts.modality,
        body_part=facts.body_part,
        instance_number=facts.instance_number,
        transfer_syntax_uid=facts.transfer_syntax_uid,
        rows=facts.rows,
        columns=facts.columns,
        frames=facts.frames,
        object_key=instance.object_key,
        size_bytes=instance.size_bytes,
        sha256=instance.sha256,
        priority=instance.priority,
        received_at=instance.received_at,
        submission=instance.submission,
    )
    return make_event(data, tenant=instance.tenant, source=EVENT_SOURCE)


def file_fact(
    action: AuditAction,
    caller: Scope,
    batch: Batch,
    file: ReceivedFile,
    *,
    instance_id: UUID | None = None,
    reason: RejectReason | None = None,
) -> AuditFact:
    """What the audit chain says of a file that was taken in or refused."""
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
