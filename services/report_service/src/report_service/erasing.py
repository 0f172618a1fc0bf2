"""Erasing reports and what belongs to them: asked for over HTTP or by retention, carried out by the worker.

Every step is one transaction or can be repeated, and what is left to do is in tables: whoever is killed in between
loses nothing. Objects go after the rows, when nobody can be drawing pictures of them any more.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID, uuid4

from radrelay_shared.audit import AuditFact
from radrelay_shared.database import Scope
from radrelay_shared.events import ErasureRequested, Event, make_event
from radrelay_shared.http import NotFound
from radrelay_shared.objects import ObjectEraser, keys
from report_service import metrics
from report_service.domain.audit import AuditAction
from report_service.domain.erasure import (
    Erasure,
    ErasureReason,
    Leftover,
    Mark,
    MarkKind,
    RetentionPolicy,
    Target,
    erased_event_id,
    mark_of_target,
    report_erased,
)
from report_service.domain.report import Report
from report_service.domain.review import Review
from report_service.handlers import SOURCE, fact_about

ERASER: Final = "report-eraser"
"""Who acts where a time has passed, and where an erasure is done."""
_AT_ONCE: Final = 100
_LEFTOVERS_AT_ONCE: Final = 500
MARKS_KEPT: Final = timedelta(days=30)
"""Marks of studies and images: longer than a result can be on its way."""


class ErasureUnit(Protocol):
    """One transaction on the reports of a tenant and their erasure."""

    async def add_erasure(self, erasure: Erasure) -> None:
        """Keep what was asked for."""

    async def find_erasure(self, erasure_id: UUID) -> Erasure | None:
        """An erasure that was asked for, done or not."""

    async def studies_of_patient(self, patient_hash: bytes) -> Sequence[str]:
        """Study Instance UIDs of a patient, whoever owns the studies."""

    async def lock_targeted(self, target: Target, before: datetime, limit: int) -> Sequence[Report]:
        """Reports of the target whose images were received before; nobody else changes them until the unit ends."""

    async def lock_expired(self, before: Mapping[str | None, datetime], limit: int) -> Sequence[Report]:
        """Reports whose time has passed, as `RetentionPolicy.received_before` says; likewise."""

    async def current_review(self, report_id: UUID) -> Review | None:
        """The last version of a report's review."""

    async def erase(self, report_id: UUID) -> None:
        """Remove a report, of which it is noted what is left, and every version of its review."""

    async def mark(self, mark: Mark, at: datetime) -> None:
        """Note that something was erased."""

    async def leave(self, leftover: Leftover) -> None:
        """Note what is still to be removed of an erased report."""

    async def count_erased(self, erasure_id: UUID, reports: int) -> None:
        """Add to how many reports an erasure erased."""

    async def finish_erasure(self, erasure: Erasure, at: datetime) -> bool:
        """Note that an erasure is done and forget what it was of; False where something of it is left."""

    async def announce(self, *events: Event[Any]) -> None:
        """Have events published after, and only if, the transaction commits."""

    async def audit(self, *facts: AuditFact) -> None:
        """Append to the tenant's audit chain. Call it last: other writers of the tenant wait from here to the end."""


class ErasureStore(Protocol):
    """Where reports are kept."""

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[ErasureUnit]:
        """Commits on normal exit, else rolls back; sees and writes only what the scope allows."""


class ErasureQueue(Protocol):
    """What is left to do, of all tenants."""

    async def open_erasures(self) -> Sequence[tuple[str, UUID]]:
        """Tenant and identifier of erasures that are not done, oldest first."""

    async def leftovers(self, before: datetime, limit: int) -> Sequence[Leftover]:
        """What is left of reports that were erased before, oldest first."""

    async def forget(self, leftovers: Sequence[Leftover]) -> int:
        """Remove these, whose objects are gone, and what was published of them; return how many.

        One of which something waits to be published stays.
        """

    async def forget_requests(self, erasure_ids: Sequence[UUID]) -> Collection[UUID]:
        """Remove the published events that asked others for these erasures; return those that wait to be published."""

    async def forget_marks(self, before: datetime) -> None:
        """Remove marks of studies and images that were erased before."""


async def studies_of_patient(patient_hash: bytes, *, scope: Scope, store: ErasureStore) -> list[Target]:
    """What there is of a patient, as far as the patients of studies have been read; see `domain.patients`."""
    async with store.transaction(scope) as unit:
        return [Target(uid, None) for uid in await unit.studies_of_patient(patient_hash)]


async def request_erasures(
    targets: Sequence[Target], reason: ErasureReason, *, scope: Scope, store: ErasureStore
) -> list[Erasure]:
    """Note that studies or images are to be erased, and ask those who keep their files for the same.

    From then on no report of them is made that is of an image received before.
    """
    now = datetime.now(UTC)
    erasures = [Erasure(scope.tenant, uuid4(), reason, scope.owner_id, now, target) for target in targets]
    async with store.transaction(scope) as unit:
        for erasure in erasures:
            await unit.add_erasure(erasure)
            await unit.mark(mark_of_target(scope.tenant, erasure.target), now)
            await unit.announce(_request_event(erasure))
        if erasures:
            fact = AuditFact(scope.tenant, scope.owner_id, AuditAction.ERASURE_REQUESTED, now)
            await unit.audit(*([fact] * len(erasures)))
    return erasures


def _request_event(erasure: Erasure) -> Event[ErasureRequested]:
    data = ErasureRequested(
        erasure_id=erasure.erasure_id,
        study_instance_uid=erasure.target.study_instance_uid,
        instance_id=erasure.target.instance_id,
        requested_at=erasure.requested_at,
    )
    return make_event(data, tenant=erasure.tenant, source=SOURCE, event_id=str(erasure.erasure_id))


async def get_erasure(erasure_id: UUID, *, scope: Scope, store: ErasureStore) -> Erasure:
    """How an erasure stands.

    Raises:
        NotFound: the tenant has none of that identifier.
    """
    async with store.transaction(scope) as unit:
        erasure = await unit.find_erasure(erasure_id)
    if erasure is None:
        raise NotFound(code="erasure_not_found", detail="Your tenant has no erasure of this identifier.")
    return erasure


@dataclass(frozen=True, slots=True)
class Eraser:
    """Carries erasures out."""

    store: ErasureStore
    queue: ErasureQueue
    objects: ObjectEraser
    retention: Mapping[str, RetentionPolicy]
    """By tenant; who is not named keeps everything."""
    grace_s: float
    """For so long after a report was erased, somebody who had read it before may still store pictures of it."""

    async def run(self, stop: asyncio.Event) -> None:
        """Do all that can be done now, or until `stop`: what is left then is done in another round."""
        erasures = await self.queue.open_erasures()
        for tenant, erasure_id in erasures:
            while not stop.is_set() and await self._erase_requested(tenant, erasure_id):
                pass
        for tenant, policy in self.retention.items():
            while not stop.is_set() and await self._erase_expired(tenant, policy):
                pass
        while not stop.is_set() and await self._remove_leftovers():
            pass
        waiting = await self.queue.forget_requests([erasure_id for _, erasure_id in erasures])
        for tenant, erasure_id in erasures:
            if erasure_id not in waiting:
                await self._finish(tenant, erasure_id)
        await self.queue.forget_marks(datetime.now(UTC) - MARKS_KEPT)

    async def _erase_requested(self, tenant: str, erasure_id: UUID) -> int:
        async with self.store.transaction(Scope.service(tenant)) as unit:
            erasure = await unit.find_erasure(erasure_id)
            if erasure is None or erasure.done_at is not None:
                return 0
            reports = await unit.lock_targeted(erasure.target, erasure.requested_at, _AT_ONCE)
            await self._erase(unit, reports, erasure.reason, erasure)
            await unit.count_erased(erasure_id, len(reports))
        return len(reports)

    async def _erase_expired(self, tenant: str, policy: RetentionPolicy) -> int:
        before = policy.received_before(datetime.now(UTC))
        if not before:
            return 0
        async with self.store.transaction(Scope.service(tenant)) as unit:
            reports = await unit.lock_expired(before, _AT_ONCE)
            await self._erase(unit, reports, ErasureReason.RETENTION, None)
        return len(reports)

    async def _erase(
        self, unit: ErasureUnit, reports: Sequence[Report], reason: ErasureReason, erasure: Erasure | None
    ) -> None:
        if not reports:
            return
        now = datetime.now(UTC)
        for report in reports:
            data = report_erased(report, await unit.current_review(report.report_id), reason=reason, at=now)
            event_id = erased_event_id(report.report_id)
            erasure_id = None if erasure is None else erasure.erasure_id
            await unit.leave(Leftover(report.tenant, report.report_id, erasure_id, report.instance_id, now))
            await unit.erase(report.report_id)
            await unit.mark(Mark.of(MarkKind.REPORT, report.tenant, report.report_id), now)
            await unit.announce(make_event(data, tenant=report.tenant, source=SOURCE, event_id=event_id))
        actor = ERASER if erasure is None else erasure.requested_by
        await unit.audit(*(fact_about(report, AuditAction.REPORT_ERASED, actor, at=now) for report in reports))
        metrics.ERASED.labels(reason=reason).inc(len(reports))

    async def _remove_leftovers(self) -> bool:
        """Whether there may be more that can be removed now."""
        found = await self.queue.leftovers(datetime.now(UTC) - timedelta(seconds=self.grace_s), _LEFTOVERS_AT_ONCE)
        for each in found:
            await self.objects.erase(keys.renderings(each.tenant, each.report_id))
            await self.objects.erase(keys.results(each.tenant, each.instance_id))
        forgotten = await self.queue.forget(found) if found else 0
        return forgotten == _LEFTOVERS_AT_ONCE

    async def _finish(self, tenant: str, erasure_id: UUID) -> None:
        async with self.store.transaction(Scope.service(tenant)) as unit:
            erasure = await unit.find_erasure(erasure_id)
            now = datetime.now(UTC)
            if erasure is not None and await unit.finish_erasure(erasure, now):
                await unit.audit(AuditFact(tenant, ERASER, AuditAction.ERASURE_DONE, now))
