"""What people may ask, and where the answers come from."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from dashboard_service.domain.figures import Counts, Dimension, FigureScope
from dashboard_service.domain.periods import LONGEST_TREND_DAYS, ImpossiblePeriod, Period, Step
from radrelay_shared.auth import Principal
from radrelay_shared.database import Scope
from radrelay_shared.events import Urgency
from radrelay_shared.http import BadRequest, Forbidden


@dataclass(frozen=True, slots=True)
class Question:
    """Whose cases, received when, are asked for."""

    scope: FigureScope
    first: date | None = None
    last: date | None = None
    modality: str | None = None
    model_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Calendar:
    """Where and when a tenant is."""

    time_zone: str
    today: date


@dataclass(frozen=True, slots=True)
class Selection:
    """Cases whose counts are looked up."""

    owner_id: str
    """Empty for the whole tenant."""
    period: Period
    modality: str | None = None
    model_digest: str | None = None


class FigureUnit(Protocol):
    """One transaction on the figures that a scope may see."""

    async def calendar(self) -> Calendar:
        """The tenant's."""

    async def by_urgency_and_model(self, of: Selection) -> dict[tuple[Urgency, str, str], Counts]:
        """Counts by urgency, model digest and model label."""

    async def by_dimension(self, of: Selection, dimension: Dimension) -> dict[tuple[str, ...], Counts]:
        """Counts by one dimension; a model is its digest and label, clinicians are all of the scope."""

    async def by_step(self, of: Selection, step: Step) -> dict[datetime, Counts]:
        """Counts by the local time at which each step begins; steps without a case may be left out."""

    async def by_day(self, of: Selection) -> list[tuple[date, str, str, str, str, Counts]]:
        """Counts by day, modality, model digest, model label and urgency, in that order."""

    async def probabilities(self, of: Selection) -> dict[int, tuple[int, int]]:
        """Cases, and positive ones, by bin."""

    async def turnarounds(self, of: Selection) -> dict[str, dict[int, int]]:
        """Cases by priority and bin."""

    async def failures(self, of: Selection) -> dict[str, int]:
        """Images without a result by reason."""


class FigureStore(Protocol):
    """Where figures come from."""

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[FigureUnit]:
        """Sees only what the scope allows."""


@dataclass(frozen=True, slots=True)
class Framed:
    """What every answer says of itself."""

    scope: FigureScope
    period: Period
    time_zone: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of somebody who may ask it, put to one transaction."""

    unit: FigureUnit
    framed: Framed
    selection: Selection


def _visible(asked: FigureScope, principal: Principal) -> tuple[Scope, str]:
    """What a caller sees, and the owner of its rollups.

    Raises:
        Forbidden: the tenant was asked for by somebody who does not administer it.
    """
    if asked is FigureScope.TENANT and not principal.is_tenant_admin:
        raise Forbidden(code="tenant_scope_forbidden", detail="Only a tenant administrator sees the tenant's figures.")
    if asked is FigureScope.TENANT:
        return Scope.of(principal), ""
    # An administrator who asks for their own figures sees no more than a clinician.
    return Scope(principal.tenant, principal.owner_id, "clinician"), principal.owner_id


@asynccontextmanager
async def asking(
    question: Question, principal: Principal, store: FigureStore, *, step: Step | None = None
) -> AsyncIterator[Asked]:
    """Put a question to one transaction; with a step, for whole steps.

    Raises:
        Forbidden: the tenant was asked for by somebody who does not administer it.
        BadRequest: there can be no figures for the period.
    """
    scope, owner_id = _visible(question.scope, principal)
    async with store.transaction(scope) as unit:
        calendar = await unit.calendar()
        try:
            period = Period.of(question.first, question.last, today=calendar.today)
            if step is not None:
                period = period.at_most(LONGEST_TREND_DAYS[step]).whole(step)
        except ImpossiblePeriod as error:
            raise BadRequest(code="impossible_period", detail=str(error)) from error
        framed = Framed(question.scope, period, calendar.time_zone)
        yield Asked(unit, framed, Selection(owner_id, period, question.modality, question.model_digest))
