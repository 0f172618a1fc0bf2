"""The counts on PostgreSQL: how events change them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import case, delete, func, literal, select, text, tuple_
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession

from dashboard_service.adapters.adding import ADD_IMAGE, TAKE_AWAY_IMAGE
from dashboard_service.adapters.tables import CaseRow, FailureRow, GenerationRow, InboxRow
from dashboard_service.domain.counting import Case, Change, Erasure, Failure
from dashboard_service.handlers.counting import Generation
from dashboard_service.settings import TimeZones
from radrelay_shared.database import Database, Scope, record_once
from radrelay_shared.events import Event

CHANNEL: Final = "dashboard_changed"
"""NOTIFY channel; the payload is a tenant whose figures changed."""
SHOWN: Final = "active"
_HOLD = text("SELECT pg_advisory_xact_lock(hashtextextended('dashboard ' || :tenant, 0))")
_KEY = ("tenant", "generation", "report")
_CASE_COLUMNS = tuple(column.name for column in CaseRow.__table__.columns)


class PostgresCountStore:
    """Implements the store's port; one database transaction a unit."""

    def __init__(self, database: Database, time_zones: TimeZones) -> None:
        self._database = database
        self._time_zones = time_zones

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator["PostgresCountUnit"]:
        """Commits on normal exit, else rolls back."""
        async with self._database.transaction(scope) as session:
            yield PostgresCountUnit(session, scope.tenant, self._time_zones)


class PostgresCountUnit:
    """One transaction. Events of one tenant are counted one after the other: they meet in the same rollups anyway."""

    def __init__(self, session: AsyncSession, tenant: str, time_zones: TimeZones) -> None:
        self._session = session
        self._tenant = tenant
        self._time_zones = time_zones

    async def record_once(self, event: Event[Any], *, consumer: str) -> bool:
        """Note the event in the inbox; False where it is there already."""
        return await record_once(self._session, InboxRow, consumer=consumer, event=event)

    async def hold(self) -> list[Generation]:
        """Lock the tenant's read models; the first one is made here."""
        await self._session.execute(_HOLD, {"tenant": self._tenant})
        found = await self._generations()
        if not any(generation.shown for generation in found):
            first = GenerationRow(
                tenant=self._tenant, generation=1, state=SHOWN, time_zone=self._time_zones.of(self._tenant)
            )
            self._session.add(first)
            await self._session.flush()
            found = await self._generations()
        return found

    async def apply(self, change: Change, generation: Generation) -> None:
        """Take away what the image counted for, change its rows, and add what it counts for now."""
        image = {"tenant": self._tenant, "generation": generation.number, "image": change.image}
        if generation.shown:
            await self._session.execute(TAKE_AWAY_IMAGE, image)
        match change:
            case Case():
                await self._session.execute(_keeping_case(change, generation.number))
            case Erasure():
                await self._session.execute(_erasing(change, generation.number))
                await self._session.execute(
                    delete(FailureRow).where(
                        FailureRow.tenant == self._tenant,
                        FailureRow.generation == generation.number,
                        FailureRow.image == change.image,
                        FailureRow.received_at <= change.erased_at,
                    )
                )
            case Failure():
                await self._session.execute(_keeping_failure(change, generation.number))
        if generation.shown:
            await self._session.execute(ADD_IMAGE, image)

    async def announce(self) -> None:
        """Wake the listeners of every API process."""
        await self._session.execute(select(func.pg_notify(CHANNEL, self._tenant)))

    async def _generations(self) -> list[Generation]:
        row = GenerationRow
        statement = select(row.generation, row.state).where(row.tenant == self._tenant)
        return [Generation(number, state == SHOWN) for number, state in await self._session.execute(statement)]


def _keeping_case(change: Case, generation: int) -> Insert:
    values = asdict(change) | {"generation": generation, "erased": False}
    return joined(insert(CaseRow).values(values))


def joined(inserted: Insert) -> Insert:
    """The insertion of cases, which joins what is there: the highest review stands, and erased stays erased."""
    new = inserted.excluded
    newer = new.review_version > CaseRow.review_version
    return inserted.on_conflict_do_update(
        index_elements=_KEY,
        set_={
            "priority": func.coalesce(CaseRow.priority, new.priority),
            "verdict": case((newer, new.verdict), else_=CaseRow.verdict),
            "review_version": func.greatest(CaseRow.review_version, new.review_version),
        },
        where=~CaseRow.erased,
    )


def _erasing(change: Erasure, generation: int) -> Insert:
    values = asdict(change) | {"generation": generation, "review_version": 0, "erased": True}
    return blanked(insert(CaseRow).values(values))


def blanked(inserted: Insert) -> Insert:
    """The insertion of erased cases, which leaves nothing else of what is there."""
    kept: Mapping[str, Any] = {"review_version": 0, "erased": True, "erased_at": inserted.excluded.erased_at}
    blank = {name: kept.get(name) for name in _CASE_COLUMNS if name not in (*_KEY, "image")}
    return inserted.on_conflict_do_update(index_elements=_KEY, set_=blank)


def _keeping_failure(change: Failure, generation: int) -> Insert:
    """Keeps the failure of the last submission, and none of an image that was erased since."""
    values = asdict(change) | {"generation": generation}
    table = FailureRow.__table__
    erased = (
        select(CaseRow.report)
        .where(CaseRow.tenant == change.tenant, CaseRow.generation == generation, CaseRow.image == change.image)
        .where(CaseRow.erased_at >= change.received_at)
    )
    row = select(*(literal(value, table.c[name].type).label(name) for name, value in values.items()))
    return newest(insert(FailureRow).from_select(list(values), row.where(~erased.exists())))


def newest(inserted: Insert) -> Insert:
    """The insertion of failures, of which the newest of an image stands."""
    new = inserted.excluded
    order = ("received_at", "submission", "failed_at", "reason")
    return inserted.on_conflict_do_update(
        index_elements=("tenant", "generation", "image"),
        set_={name: new[name] for name in ("owner_id", *order)},
        where=tuple_(*(new[name] for name in order))
        > tuple_(FailureRow.received_at, FailureRow.submission, FailureRow.failed_at, FailureRow.reason),
    )
