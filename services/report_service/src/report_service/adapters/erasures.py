"""Erasures on PostgreSQL: the part of a transaction that is about them, and what is left to do of all tenants."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from radrelay_shared.database import Database, forget_published
from radrelay_shared.events import Urgency
from report_service.adapters.tables import Base, OutboxRow
from report_service.domain.erasure import Erasure, ErasureReason, Leftover, Mark, MarkKind, Target

_TABLES = Base.metadata.tables
_reports, _reviews = _TABLES["report.reports"], _TABLES["report.reviews"]
_instances, _series = _TABLES["report.instances"], _TABLES["report.series"]
_studies, _kinds = _TABLES["report.studies"], _TABLES["report.kinds"]
_erasures, _marks = _TABLES["report.erasures"], _TABLES["report.erased_marks"]
_deliveries = _TABLES["report.deliveries"]
_leftovers = _TABLES["report.erasure_leftovers"]
_new_mark = insert(_marks)
_ADD_MARK = _new_mark.on_conflict_do_update(
    index_elements=[_marks.c.tenant, _marks.c.digest], set_={"erased_at": _new_mark.excluded.erased_at}
)
# One array, where a list of values would have the statement written anew for each length of it.
_MARKED = select(_marks).where(_marks.c.digest == func.any(bindparam("digests", type_=ARRAY(_marks.c.digest.type))))
_PLAIN = ("tenant", "erasure_id", "reason", "requested_by", "requested_at", "reports", "done_at")
_OPEN_AT_ONCE = 1000


class ErasureTransaction:
    """Erasing reports of one tenant. The database lets only services delete them: see migration 0009."""

    def __init__(self, session: AsyncSession, tenant: str) -> None:
        self._erasure_session = session
        self._erasure_tenant = tenant

    async def add_erasure(self, erasure: Erasure) -> None:
        """Keep what was asked for."""
        values = {name: getattr(erasure, name) for name in _PLAIN} | {
            "study_instance_uid": erasure.target.study_instance_uid,
            "instance_id": erasure.target.instance_id,
        }
        await self._erasure_session.execute(insert(_erasures).values(values))

    async def find_erasure(self, erasure_id: UUID) -> Erasure | None:
        """An erasure that was asked for, done or not."""
        found = await self._erasure_session.execute(select(_erasures).where(_erasures.c.erasure_id == erasure_id))
        row = found.one_or_none()
        if row is None:
            return None
        values = {name: getattr(row, name) for name in _PLAIN}
        values["reason"] = ErasureReason(row.reason)
        return Erasure(**values, target=Target(row.study_instance_uid, row.instance_id))

    async def studies_of_patient(self, patient_hash: bytes) -> Sequence[str]:
        """Study Instance UIDs of a patient, whoever owns the studies."""
        of_patient = (_studies.c.tenant == self._erasure_tenant, _studies.c.patient_hash == patient_hash)
        uid = _studies.c.study_instance_uid
        return list(await self._erasure_session.scalars(select(uid).where(*of_patient).distinct().order_by(uid)))

    async def targeted_ids(self, target: Target, before: datetime, limit: int) -> Sequence[UUID]:
        """Identifiers of the target's reports whose images were received before; locked, in one order."""
        query = select(_reports.c.report_id).where(*self._of_target(target, before))
        locked = query.order_by(_reports.c.report_id).limit(limit).with_for_update()
        return list(await self._erasure_session.scalars(locked))

    async def expired_ids(self, before: Mapping[str | None, datetime], limit: int) -> Sequence[UUID]:
        """Identifiers of reports whose time has passed; locked. Each urgency by itself, as the index has them."""
        found: list[UUID] = []
        for urgency in Urgency:
            query = select(_reports.c.report_id).where(
                _reports.c.tenant == self._erasure_tenant,
                _reports.c.urgency == urgency,
                _reports.c.received_at < max(before.values()),
                _expired(before, self._erasure_tenant),
            )
            order = (_reports.c.received_at, _reports.c.report_id)
            locked = query.order_by(*order).limit(limit - len(found)).with_for_update()
            found += await self._erasure_session.scalars(locked)
            if len(found) == limit:
                break
        return found

    async def erase(self, report_id: UUID) -> None:
        """Remove a report, of which it is noted what is left, with its reviews and what was to be sent of it.

        With the last report of an image the image goes, with the last image its series, and then its study.
        """
        run, tenant = self._erasure_session.execute, self._erasure_tenant
        place = (
            select(_instances.c.owner_id, _instances.c.instance_id, _series.c.series_id, _series.c.study_id)
            .join(_reports, _held(_reports, _instances, "owner_id", "instance_id"))
            .join(_series, _held(_instances, _series, "series_id"))
            .where(_reports.c.tenant == tenant, _reports.c.report_id == report_id)
        )
        row = (await run(place)).one()
        image = (_instances.c.owner_id == row.owner_id, _instances.c.instance_id == row.instance_id)
        rows = (
            (_studies, (_studies.c.study_id == row.study_id,)),
            (_series, (_series.c.series_id == row.series_id,)),
            (_instances, image),
        )
        # Whoever adds to one of them waits from here on, or is seen: nothing that it holds goes with it unseen.
        for table, where in rows:
            await run(select(table.c.tenant).where(table.c.tenant == tenant, *where).with_for_update())
        # What is on its way to destinations of it, too: whoever tells more of it has locked the row of the report.
        for table in (_deliveries, _reviews, _reports):
            await run(delete(table).where(table.c.tenant == tenant, table.c.report_id == report_id))
        holders = (_held(_series, _studies, "study_id"), _held(_instances, _series, "series_id"))
        kept_by = (*holders, _held(_reports, _instances, "owner_id", "instance_id"))
        for (table, where), holds in reversed(list(zip(rows, kept_by, strict=True))):
            await run(delete(table).where(table.c.tenant == tenant, *where, ~exists().where(holds)))

    async def mark(self, mark: Mark, at: datetime) -> None:
        """Note that something was erased."""
        values = {"tenant": self._erasure_tenant, "kind": mark.kind.value, "digest": mark.digest, "erased_at": at}
        await self._erasure_session.execute(_ADD_MARK, values)

    async def marked(self, marks: Sequence[Mark]) -> Mapping[Mark, datetime]:
        """Those of these that were erased, and when last."""
        rows = await self._erasure_session.execute(_MARKED, {"digests": [mark.digest for mark in marks]})
        return {Mark(MarkKind(row.kind), row.digest): row.erased_at for row in rows}

    async def leave(self, leftover: Leftover) -> None:
        """Note what is still to be removed of an erased report."""
        values = {name: getattr(leftover, name) for name in Leftover.__slots__}
        await self._erasure_session.execute(insert(_leftovers).values(values))

    async def count_erased(self, erasure_id: UUID, reports: int) -> None:
        """Add to how many reports an erasure erased."""
        statement = update(_erasures).where(_erasures.c.erasure_id == erasure_id)
        await self._erasure_session.execute(statement.values(reports=_erasures.c.reports + reports))

    async def finish_erasure(self, erasure: Erasure, at: datetime) -> bool:
        """Note that an erasure is done and forget what it was of; False where something of it is left, or it is."""
        left = exists().where(*self._of_target(erasure.target, erasure.requested_at))
        behind = exists().where(_leftovers.c.erasure_id == erasure.erasure_id)
        open_one = (_erasures.c.erasure_id == erasure.erasure_id, _erasures.c.done_at.is_(None))
        statement = update(_erasures).where(*open_one, ~left, ~behind)
        statement = statement.values(done_at=at, study_instance_uid=None, instance_id=None)
        return (await self._erasure_session.execute(statement.returning(_erasures.c.erasure_id))).first() is not None

    def _of_target(self, target: Target, before: datetime) -> tuple[ColumnElement[bool], ...]:
        what = (
            _reports.c.instance_id == target.instance_id
            if target.study_instance_uid is None
            else _reports.c.study_id.in_(
                select(_studies.c.study_id).where(
                    _studies.c.tenant == self._erasure_tenant,
                    _studies.c.study_instance_uid == target.study_instance_uid,
                )
            )
        )
        return _reports.c.tenant == self._erasure_tenant, what, _reports.c.received_at <= before


def _held(holder: Table, held: Table, *columns: str) -> ColumnElement[bool]:
    """Whether a row of `holder` refers to one of `held`."""
    return and_(*(holder.c[name] == held.c[name] for name in ("tenant", *columns)))


def _expired(before: Mapping[str | None, datetime], tenant: str) -> ColumnElement[bool]:
    named = [modality for modality in before if modality is not None]
    of_tenant = select(_kinds.c.kind_id).where(_kinds.c.tenant == tenant)
    conditions = []
    for modality, time in before.items():
        chosen = _kinds.c.modality.not_in(named) if modality is None else _kinds.c.modality == modality
        conditions.append(_reports.c.kind_id.in_(of_tenant.where(chosen)) & (_reports.c.received_at < time))
    return or_(*conditions)


class PostgresErasureQueue:
    """What is left to do, seen by the system role."""

    def __init__(self, system_database: Database) -> None:
        self._database = system_database

    async def open_erasures(self) -> Sequence[tuple[str, UUID]]:
        """Tenant and identifier of erasures that are not done, oldest first."""
        query = select(_erasures.c.tenant, _erasures.c.erasure_id).where(_erasures.c.done_at.is_(None))
        async with self._database.system_transaction() as session:
            rows = await session.execute(query.order_by(_erasures.c.requested_at).limit(_OPEN_AT_ONCE))
            return [(row.tenant, row.erasure_id) for row in rows]

    async def leftovers(self, before: datetime, limit: int) -> Sequence[Leftover]:
        """What is left of reports that were erased before, oldest first."""
        query = select(_leftovers).where(_leftovers.c.erased_at <= before).order_by(_leftovers.c.erased_at)
        async with self._database.system_transaction() as session:
            return [Leftover(**row._mapping) for row in await session.execute(query.limit(limit))]

    async def forget(self, leftovers: Sequence[Leftover]) -> int:
        """Remove these, whose objects are gone, and what was published of them; return how many.

        One of which something waits to be published stays.
        """
        async with self._database.system_transaction() as session:
            waiting = await forget_published(session, OutboxRow, {each.instance_id for each in leftovers})
            settled = [(each.tenant, each.report_id) for each in leftovers if each.instance_id not in waiting]
            if settled:
                of_these = tuple_(_leftovers.c.tenant, _leftovers.c.report_id).in_(settled)
                await session.execute(delete(_leftovers).where(of_these))
        return len(settled)

    async def forget_requests(self, erasure_ids: Sequence[UUID]) -> Collection[UUID]:
        """Remove the published events that asked others for these erasures; return those that wait to be published."""
        asked = OutboxRow.event_id.in_([str(each) for each in erasure_ids])
        async with self._database.system_transaction() as session:
            await session.execute(delete(OutboxRow).where(asked, OutboxRow.published_at.is_not(None)))
            return {UUID(each) for each in await session.scalars(select(OutboxRow.event_id).where(asked))}

    async def forget_marks(self, before: datetime) -> None:
        """Remove marks of studies and images that were erased before; those of reports stay."""
        passing = (_marks.c.kind != MarkKind.REPORT.value, _marks.c.erased_at < before)
        async with self._database.system_transaction() as session:
            await session.execute(delete(_marks).where(*passing))
