"""Accesses that were refused to a known caller: recorded before they are answered, and bounded.

Each caller's first refusals in a minute are recorded one by one, and no more than a number of the whole tenant. Past
that, one record says that there were more and the rest are only counted, in a metric: a flood shows, and cannot fill
the chain.
"""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from radrelay_shared.audit.chain import AuditFact
from radrelay_shared.audit.ports import ReadLog
from radrelay_shared.auth import Principal, Unentitled
from radrelay_shared.http.problems import Forbidden, NotFound, Problem, render_problem
from radrelay_shared.observability.metrics import REFUSALS

PER_CALLER: Final = RateLimitItemPerMinute(30)
PER_TENANT: Final = RateLimitItemPerMinute(300)
_NOTICES: Final = RateLimitItemPerMinute(1)
WITHHELD: Final = "refusals.withheld"
"""The action of a record that stands for all further refusals of this minute."""
_UNNAMED: Final = "unnamed"
"""The actor where a token names nobody."""
_IDENTIFIERS: Final = ("batch_id", "instance_id", "report_id")


class RefusalLog:
    """Records refusals of one service; each process has bounds of its own."""

    def __init__(self, log: ReadLog, service: str) -> None:
        self._log = log
        self._service = service
        self._counts = FixedWindowRateLimiter(MemoryStorage())
        for recorded in ("yes", "no"):
            REFUSALS.labels(service, recorded)

    async def record(self, fact: AuditFact) -> None:
        """Return when the refusal is in the tenant's audit chain for good, or counted.

        Raises:
            Exception: it could not be recorded, and so must not be answered.
        """
        caller = (fact.tenant, fact.actor)
        kept = await self._within(PER_CALLER, fact, *caller)
        if kept is not None:
            kept = await self._within(PER_TENANT, kept, fact.tenant)
        REFUSALS.labels(service=self._service, recorded="no" if kept is None else "yes").inc()
        if kept is not None:
            await self._log.record(kept)

    async def _within(self, bound: RateLimitItemPerMinute, fact: AuditFact, *key: str) -> AuditFact | None:
        """The fact while it is within the bound, then once in its place that there are more, then nothing."""
        if await self._counts.hit(bound, *key):
            return fact
        if await self._counts.hit(_NOTICES, *key):
            return AuditFact(fact.tenant, fact.actor, WITHHELD, fact.at, reason="too_many_refusals")
        return None


def record_refusals(app: FastAPI) -> None:
    """Have what is answered 403 or 404 to a known caller recorded, and 401 where the token is of a known tenant.

    The lifespan's state carries the `audit` trail.
    """

    async def render(request: Request, error: Exception) -> JSONResponse:
        fact = _fact_of(request, error)
        if fact is not None:
            await request.state.audit.refusals.record(fact)
        return await render_problem(request, error)

    for kind in (Forbidden, NotFound, Unentitled):
        app.add_exception_handler(kind, render)


def _fact_of(request: Request, error: Exception) -> AuditFact | None:
    """Who was refused what, and why; None where nobody is known to have asked."""
    if isinstance(error, Unentitled):
        tenant, actor, reason = error.tenant, error.subject or _UNNAMED, error.reason
    else:
        principal: Principal | None = getattr(request.state, "principal", None)
        if principal is None or not isinstance(error, Problem):
            return None
        tenant, actor, reason = principal.tenant, principal.owner_id, error.code
    return AuditFact(
        tenant=tenant,
        actor=actor,
        # The route's template: what was asked for by name is in it, and nothing that the client wrote.
        action=f"refused {request.method} {request.scope['route'].path}",
        at=datetime.now(UTC),
        reason=reason,
        **_asked_for(request),
    )


def _asked_for(request: Request) -> dict[str, Any]:
    """The identifiers in the path, where they are such: other text may say anything."""
    found: dict[str, Any] = {}
    for name in _IDENTIFIERS:
        try:
            found[name] = UUID(str(request.path_params.get(name)))
        except ValueError:
            continue
    return found
