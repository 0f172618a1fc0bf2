"""Figures from the rollups on PostgreSQL.

Row security alone keeps other tenants and owners out. The same conditions are said again in each query, for the
planner: it finds the rows by them.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Date,
    ScalarSelect,
    Subquery,
    Text,
    cast,
    func,
    inspect,
    literal,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from dashboard_service.adapters.counting import SHOWN
from dashboard_service.adapters.tables import (
    CaseRollupRow,
    FailureRollupRow,
    GenerationRow,
    ProbabilityRollupRow,
    RollupColumns,
    TurnaroundRollupRow,
)
from dashboard_service.domain.figures import Counts, Dimension
from dashboard_service.domain.periods import Grain, Piece, Step
from dashboard_service.handlers.questions import Calendar, Selection
from dashboard_service.settings import TimeZones
from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Urgency


def _sum(column: ColumnElement[Any] | InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """The sum, in the type of what is summed: PostgreSQL sums integers to decimals."""
    return cast(func.sum(column), column.type)


def _today_in(time_zone: ColumnElement[str] | InstrumentedAttribute[str]) -> ColumnElement[date]:
    return cast(func.timezone(time_zone, func.now()), Date)


_COUNTED: Final = tuple(each.name for each in fields(Counts))
_DIMENSIONS: Final = {
    Dimension.MODALITY: ("modality",),
    Dimension.MODEL: ("model_digest", "model_label"),
    Dimension.URGENCY: ("urgency",),
    Dimension.CLINICIAN: ("owner_id",),
}
_GRAINS: Final = {Step.HOUR: Grain.HOUR, Step.DAY: Grain.DAY, Step.WEEK: Grain.DAY, Step.MONTH: Grain.MONTH}


class PostgresFigureStore:
    """Implements the store's port; one database transaction a unit."""

    def __init__(self, database: Database, time_zones: TimeZones) -> None:
        self._database = database
        self._time_zones = time_zones

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator["PostgresFigureUnit"]:
        """Commits on normal exit, else rolls back."""
        async with self._database.transaction(scope) as session:
            yield PostgresFigureUnit(session, scope, self._time_zones)


class PostgresFigureUnit:
    """One transaction."""

    def __init__(self, session: AsyncSession, scope: Scope, time_zones: TimeZones) -> None:
        self._session = session
        self._tenant = scope.tenant
        self._time_zones = time_zones

    async def calendar(self) -> Calendar:
        """That of the counts; where there is none, the one that they will have."""
        row = GenerationRow
        counted = select(row.time_zone, _today_in(row.time_zone)).where(row.tenant == self._tenant, row.state == SHOWN)
        found = (await self._session.execute(counted)).one_or_none()
        if found is None:
            time_zone = literal(self._time_zones.of(self._tenant), Text)
            found = (await self._session.execute(select(time_zone, _today_in(time_zone)))).one()
        return Calendar(*found)

    async def by_urgency_and_model(self, of: Selection) -> dict[tuple[Urgency, str, str], Counts]:
        """Counts by urgency, model digest and model label."""
        found = await self._counts(("urgency", "model_digest", "model_label"), of, of.period.pieces())
        return {(Urgency(urgency), digest, label): counts for (urgency, digest, label), counts in found}

    async def by_dimension(self, of: Selection, dimension: Dimension) -> dict[tuple[str, ...], Counts]:
        """Counts by one dimension."""
        every_owner = dimension is Dimension.CLINICIAN
        return dict(await self._counts(_DIMENSIONS[dimension], of, of.period.pieces(), every_owner=every_owner))

    async def by_step(self, of: Selection, step: Step) -> dict[datetime, Counts]:
        """Counts by the local time at which each step begins."""
        name = "week" if step is Step.WEEK else "start"
        found = await self._counts((name,), of, [of.period.rollups(_GRAINS[step])])
        return {start: counts for (start,), counts in found}

    async def by_day(self, of: Selection) -> list[tuple[date, str, str, str, str, Counts]]:
        """Counts by day, modality, model digest, model label and urgency, in that order."""
        group = ("start", "modality", "model_digest", "model_label", "urgency")
        found = await self._counts(group, of, [of.period.rollups(Grain.DAY)])
        return sorted(((key[0].date(), *key[1:], counts) for key, counts in found), key=lambda each: each[:-1])

    async def probabilities(self, of: Selection) -> dict[int, tuple[int, int]]:
        """Cases, and positive ones, by bin."""
        found = self._rollups(ProbabilityRollupRow, of, of.period.pieces()).c
        statement = select(found.bin, _sum(found.cases), _sum(found.positives)).group_by(found.bin)
        return {number: (cases, positives) for number, cases, positives in await self._rows(statement)}

    async def turnarounds(self, of: Selection) -> dict[str, dict[int, int]]:
        """Cases by priority and bin."""
        found = self._rollups(TurnaroundRollupRow, of, of.period.pieces()).c
        statement = select(found.priority, found.bin, _sum(found.cases)).group_by(found.priority, found.bin)
        by_priority: dict[str, dict[int, int]] = {}
        for priority, number, cases in await self._rows(statement):
            by_priority.setdefault(priority, {})[number] = cases
        return by_priority

    async def failures(self, of: Selection) -> dict[str, int]:
        """Images without a result by reason."""
        found = self._rollups(FailureRollupRow, of, of.period.pieces()).c
        failures = _sum(found.failures)
        statement = select(found.reason, failures).group_by(found.reason).having(failures > 0)
        return {reason: number for reason, number in await self._rows(statement)}  # noqa: C416  # rows are no pairs to mypy

    async def _counts(
        self, names: Sequence[str], of: Selection, pieces: Sequence[Piece], *, every_owner: bool = False
    ) -> list[tuple[tuple[Any, ...], Counts]]:
        """Counts by columns; `week` is that in which a day lies."""
        found = self._rollups(CaseRollupRow, of, pieces, every_owner=every_owner).c
        group = [func.date_trunc("week", found.start) if name == "week" else found[name] for name in names]
        sums = [_sum(found[name]) for name in _COUNTED]
        # Where all was taken away again nothing is left to be seen.
        statement = select(*group, *sums).group_by(*group).having(sums[0] > 0)
        if of.modality is not None:
            statement = statement.where(found.modality == of.modality)
        if of.model_digest is not None:
            statement = statement.where(found.model_digest == of.model_digest)
        size = len(group)
        return [(tuple(row[:size]), Counts(*row[size:])) for row in await self._rows(statement)]

    async def _rows(self, statement: Any) -> Sequence[Any]:
        return (await self._session.execute(statement)).all()

    def _rollups(
        self, row: type[RollupColumns], of: Selection, pieces: Sequence[Piece], *, every_owner: bool = False
    ) -> Subquery:
        """The rollups of a selection: one piece after the other, for each is one range of the primary key."""
        conditions = [
            row.tenant == self._tenant,
            row.generation == self._shown(),
            row.owner_id != "" if every_owner else row.owner_id == of.owner_id,
        ]
        ranges = ([row.grain == each.grain, row.start >= each.start, row.start < each.end] for each in pieces)
        return union_all(*(select(inspect(row).local_table).where(*conditions, *each) for each in ranges)).subquery()

    def _shown(self) -> ScalarSelect[int]:
        """In the very query: a rebuild may replace the generation between two."""
        row = GenerationRow
        return select(row.generation).where(row.tenant == self._tenant, row.state == SHOWN).scalar_subquery()
