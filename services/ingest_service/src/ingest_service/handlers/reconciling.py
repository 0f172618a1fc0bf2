"""Finding and mending what the object store and the database say differently of each other.

Both are read in the order of keys, side by side, in pages; only findings are kept, up to a limit. Uploads go on
meanwhile: a finding is looked at again before it is reported, and once more, under a lock, before it is mended.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from ingest_service.domain.audit import AuditAction
from ingest_service.domain.reconciling import Fault, Finding, FindingKind, ObjectRecord, Shelf, kind_of
from ingest_service.handlers.comparing import compare, prefix_of, side_by_side
from ingest_service.handlers.registering import submit_again
from ingest_service.ports import Records, Transaction
from radrelay_shared.audit import AuditFact
from radrelay_shared.database import Scope
from radrelay_shared.objects import ObjectNotFound, ObjectStore

RECONCILER: Final = "ingest-reconciler"
_PAGE: Final = 1000


@dataclass(slots=True)
class Reconciliation:
    """What was found of one tenant."""

    tenant: str
    objects: int = 0
    records: int = 0
    given_up: int = 0
    """Records whose object nobody counts on: images known to be lost, rejected files whose time has passed."""
    counts: Counter[FindingKind] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    """The first of them."""
    mended: int = 0

    @property
    def found(self) -> int:
        """How many findings there are, kept here or not."""
        return self.counts.total()


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Compares store and database of tenants."""

    records: Records
    objects: ObjectStore
    new_path: Callable[[], Path]
    grace_s: float
    """An object without a row is an orphan once it is older: an upload writes the object first."""
    verify: bool
    """Whether to read every object and compare its SHA-256."""
    page: int = _PAGE

    async def find(self, tenant: str, most: int) -> Reconciliation:
        """Compare all of one tenant, change nothing, and keep at most `most` of the findings."""
        result = Reconciliation(tenant)
        before = datetime.now(UTC) - timedelta(seconds=self.grace_s)
        for shelf in Shelf:
            objects, records = self.objects.list_objects(prefix_of(shelf, tenant)), self._records(tenant, shelf)
            async with aclosing(side_by_side(objects, records)) as pairs:
                async for found, record in pairs:
                    result.objects += found is not None
                    result.records += record is not None
                    result.given_up += record is not None and record.is_given_up
                    finding = compare(tenant, shelf, found, record, before)
                    if finding is None and self.verify and record is not None and not record.is_given_up:
                        finding = await self._verified(tenant, shelf, record)
                    elif finding is not None and finding.kind is not FindingKind.ORPHAN:
                        finding = await self._again(finding)
                    if finding is not None:
                        result.counts[finding.kind] += 1
                        if len(result.findings) < most:
                            result.findings.append(finding)
        return result

    async def mend(self, finding: Finding) -> bool:
        """Mend what still is as it was found, and leave an audit record; False where it is so no longer."""
        async with self.records.transaction(Scope.service(finding.tenant)) as tx:
            if finding.kind is FindingKind.ORPHAN:
                return await self._remove_orphan(tx, finding)
            record = await tx.object_record(finding.shelf, _id_of(finding))
            if record is None:
                return False
            fault = await self._fault(record, whole=finding.fault in {None, Fault.SHA256})
            if kind_of(finding.shelf, record, fault) is not finding.kind:
                return False
            if fault is None:
                await self._restore(tx, finding, record)
            else:
                await self._give_up(tx, finding, record, fault)
            return True

    async def _remove_orphan(self, tx: Transaction, finding: Finding) -> bool:
        """Remove the object: who is recording the same bytes has recorded them before, or puts them again after."""
        await tx.hold_object(finding.key)
        if finding.row_id is not None and await tx.object_record(finding.shelf, finding.row_id) is not None:
            return False
        found = await self.objects.stat(finding.key)
        if found is None or found.modified_at >= datetime.now(UTC) - timedelta(seconds=self.grace_s):
            return False
        await self.objects.delete(finding.key)
        instance_id = finding.row_id if finding.shelf is Shelf.INSTANCES else None
        await tx.audit(_fact(finding, AuditAction.OBJECT_REMOVED, instance_id=instance_id))
        return True

    async def _give_up(self, tx: Transaction, finding: Finding, record: ObjectRecord, fault: Fault) -> None:
        now = datetime.now(UTC)
        if finding.shelf is Shelf.REJECTED:
            await tx.expire_rejected(record.row_id, now)  # the sweeper removes the row, and what is left of the object
            await tx.audit(_fact(finding, AuditAction.REJECTED_LOST, fingerprint=record.sha256, fault=fault))
            return
        if not record.is_given_up:
            await tx.mark_lost(record.row_id, f"its object is not as it was stored: {fault}", now)
        if fault is not Fault.MISSING:
            await self.objects.delete(record.key)  # out of the way of whoever sends the image again
        await tx.audit(
            _fact(
                finding,
                AuditAction.INSTANCE_LOST,
                instance_id=record.row_id,
                fingerprint=record.sha256,
                fault=fault,
            )
        )

    async def _restore(self, tx: Transaction, finding: Finding, record: ObjectRecord) -> None:
        known = await tx.find_instance(record.row_id)
        await tx.mark_found(record.row_id, record.size_bytes, record.sha256)
        if known is not None and known.waits_for_object:
            await submit_again(tx, [record.row_id], datetime.now(UTC))
        await tx.audit(
            _fact(finding, AuditAction.INSTANCE_RESTORED, instance_id=record.row_id, fingerprint=record.sha256)
        )

    async def _again(self, finding: Finding) -> Finding | None:
        """The finding as it is now: what was listed and what was read may be from either side of an upload."""
        async with self.records.transaction(Scope.service(finding.tenant)) as tx:
            record = await tx.object_record(finding.shelf, _id_of(finding))
        if record is None:
            return None
        return await self._judged(finding.tenant, finding.shelf, record, whole=finding.fault is None)

    async def _verified(self, tenant: str, shelf: Shelf, record: ObjectRecord) -> Finding | None:
        return await self._judged(tenant, shelf, record, whole=True)

    async def _judged(self, tenant: str, shelf: Shelf, record: ObjectRecord, *, whole: bool) -> Finding | None:
        fault = await self._fault(record, whole=whole)
        kind = kind_of(shelf, record, fault)
        return Finding(tenant, kind, shelf, record.key, record.row_id, fault, record.size_bytes) if kind else None

    async def _fault(self, record: ObjectRecord, *, whole: bool) -> Fault | None:
        """What is wrong with the object now; its content is read only where `whole`."""
        found = await self.objects.stat(record.key)
        if found is None:
            return Fault.MISSING
        if found.size_bytes != record.size_bytes:
            return Fault.SIZE
        if not whole:
            return None
        path = self.new_path()
        try:
            await self.objects.get_file(record.key, path)
            digest = await asyncio.to_thread(_sha256_of, path)
        except ObjectNotFound:
            return Fault.MISSING
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        return None if digest == record.sha256 else Fault.SHA256

    async def _records(self, tenant: str, shelf: Shelf) -> AsyncIterator[ObjectRecord]:
        """What the rows say, by key; each page is a transaction of its own."""
        after: UUID | None = None
        while True:
            async with self.records.transaction(Scope.service(tenant)) as tx:
                page = await tx.object_records(shelf, after, self.page)
            for record in page:
                yield record
            if len(page) < self.page:
                return
            after = page[-1].row_id


def _id_of(finding: Finding) -> UUID:
    if finding.row_id is None:
        raise ValueError(f"{finding.key}: no row has this key")
    return finding.row_id


def _fact(
    finding: Finding,
    action: AuditAction,
    *,
    instance_id: UUID | None = None,
    fingerprint: str | None = None,
    fault: Fault | None = None,
) -> AuditFact:
    return AuditFact(
        tenant=finding.tenant,
        actor=RECONCILER,
        action=action,
        at=datetime.now(UTC),
        instance_id=instance_id,
        fingerprint=fingerprint,
        reason=fault,
    )


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
