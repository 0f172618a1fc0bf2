"""A second read model on PostgreSQL, made beside the one that is shown, and put in its place."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Select, delete, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from dashboard_service.adapters.adding import ADD_ALL
from dashboard_service.adapters.counting import SHOWN, PostgresCountUnit, blanked, joined, newest
from dashboard_service.adapters.tables import ROLLUPS, CaseRow, FailureRow, GenerationRow
from dashboard_service.domain.counting import Change
from dashboard_service.handlers.counting import Generation
from dashboard_service.handlers.rebuilding import Overtaken
from dashboard_service.settings import TimeZones
from radrelay_shared.database import Database, Scope

_BUILDING: Final = "building"
_NUMBERS: Final = text("SELECT nextval('dashboard.generation_numbers')")


class PostgresRebuildStore:
    """Implements the store's port.

    Args:
        database: the runtime role's; it counts.
        system: the system role's; it finds tenants, and removes what was replaced.
        time_zones: those that the new read models are made in.
    """

    def __init__(self, database: Database, system: Database, time_zones: TimeZones) -> None:
        self._database = database
        self._system = system
        self._time_zones = time_zones

    async def tenants(self) -> set[str]:
        """Those that have figures."""
        async with self._system.system_transaction() as session:
            return set(await session.scalars(select(GenerationRow.tenant).distinct()))

    async def begin(self, tenant: str) -> int:
        """Have a new, empty read model that events are counted in from now on too; one left over from before goes."""
        row = GenerationRow
        async with self._database.transaction(Scope.service(tenant)) as session:
            await self._unit(session, tenant).hold()
            await session.execute(delete(row).where(row.tenant == tenant, row.state == _BUILDING))
        await self.clear(tenant)
        async with self._database.transaction(Scope.service(tenant)) as session:
            found = await self._unit(session, tenant).hold()
            if any(not generation.shown for generation in found):
                raise Overtaken
            number: int = (await session.scalars(_NUMBERS)).one()
            zone = self._time_zones.of(tenant)
            session.add(GenerationRow(tenant=tenant, generation=number, state=_BUILDING, time_zone=zone))
        return number

    async def replay(self, tenant: str, number: int, changes: Sequence[Change]) -> None:
        """Bring the new read model's rows to what they are with the changes."""
        async with self._database.transaction(Scope.service(tenant)) as session:
            unit = self._unit(session, tenant)
            new, _ = _both(number, await unit.hold())
            for change in changes:
                await unit.apply(change, new)

    async def finish(self, tenant: str, number: int, *, reports_since: datetime, failures_since: datetime) -> int:
        """Show the new read model; return how many reports and failures were kept that are older than the streams."""
        async with self._database.transaction(Scope.service(tenant)) as session:
            unit = self._unit(session, tenant)
            new, shown = _both(number, await unit.hold())
            kept = await _keep(session, tenant, shown.number, new.number, reports_since, failures_since)
            await session.execute(ADD_ALL, {"tenant": tenant, "generation": number})
            row = GenerationRow
            await session.execute(delete(row).where(row.tenant == tenant, row.state == SHOWN))
            await session.execute(update(row).where(row.tenant == tenant, row.generation == number).values(state=SHOWN))
            await unit.announce()
        return kept

    async def clear(self, tenant: str) -> None:
        """Remove what belongs to no read model any more."""
        row = GenerationRow
        in_use = select(row.generation).where(row.tenant == tenant)
        async with self._system.system_transaction() as session:
            for table in (CaseRow, FailureRow, *ROLLUPS):
                await session.execute(delete(table).where(table.tenant == tenant, table.generation.not_in(in_use)))

    def _unit(self, session: AsyncSession, tenant: str) -> PostgresCountUnit:
        return PostgresCountUnit(session, tenant, self._time_zones)


def _both(number: int, found: Sequence[Generation]) -> tuple[Generation, Generation]:
    """The new one and the one that is shown.

    Raises:
        Overtaken: another rebuild took the new one's place.
    """
    new = [generation for generation in found if generation.number == number and not generation.shown]
    if not new:
        raise Overtaken
    return new[0], next(generation for generation in found if generation.shown)


async def _keep(
    session: AsyncSession, tenant: str, old: int, new: int, reports_since: datetime, failures_since: datetime
) -> int:
    """Take over what the streams no longer tell: older reports and failures, and what is known to be erased."""
    cases = _moved(CaseRow, tenant, old, new)
    names = [column.name for column in CaseRow.__table__.columns]
    await session.execute(blanked(insert(CaseRow).from_select(names, cases.where(CaseRow.erased))))
    older = cases.where(~CaseRow.erased, CaseRow.created_at < reports_since)
    kept = await session.execute(joined(insert(CaseRow).from_select(names, older)))
    names = [column.name for column in FailureRow.__table__.columns]
    erased = select(CaseRow.report).where(
        CaseRow.tenant == tenant,
        CaseRow.generation == new,
        CaseRow.image == FailureRow.image,
        CaseRow.erased_at >= FailureRow.received_at,
    )
    failures = _moved(FailureRow, tenant, old, new).where(FailureRow.failed_at < failures_since, ~erased.exists())
    failed = await session.execute(newest(insert(FailureRow).from_select(names, failures)))
    return kept.rowcount + failed.rowcount  # type: ignore[attr-defined, no-any-return]  # INSERT gives a cursor result


def _moved(row: type[CaseRow | FailureRow], tenant: str, old: int, new: int) -> Select[tuple[object, ...]]:
    columns = [
        literal(new).label("generation") if column.name == "generation" else column for column in row.__table__.columns
    ]
    return select(*columns).where(row.tenant == tenant, row.generation == old)
