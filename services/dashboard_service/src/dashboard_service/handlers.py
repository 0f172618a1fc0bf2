"""What the dashboard service does: one function per use case, on ports."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from dashboard_service.domain.counting import Case, Failure, case_of, failure_of
from dashboard_service.domain.summary import Cell, Summary, SummaryScope, summarise
from radrelay_shared.auth import Principal
from radrelay_shared.database import Scope
from radrelay_shared.events import Event, InferenceFailed, ReportCreated
from radrelay_shared.http import Forbidden


class CountUnit(Protocol):
    """One transaction on the counts that a scope may touch."""

    async def record_once(self, event: Event[Any], *, consumer: str) -> bool:
        """Note that `consumer` has counted the event; False where it had before."""

    async def add_case(self, case: Case) -> None:
        """Count a reported image."""

    async def add_failure(self, failure: Failure) -> None:
        """Count an image that got no result."""

    async def cells(self) -> list[Cell]:
        """The scope's cases by day, urgency and model."""

    async def failed_cases(self) -> int:
        """The scope's images that got no result."""


class CountStore(Protocol):
    """Where counts are kept."""

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[CountUnit]:
        """Commits on normal exit, else rolls back; sees and writes only what the scope allows."""


async def count_report(event: Event[ReportCreated], *, consumer: str, counts: CountStore) -> bool:
    """Count a report once, however often its event comes; False when it was counted before.

    Raises:
        Uncountable: nothing was counted, and nothing will be on a repeat.
    """
    case = case_of(event.tenant, event.data)
    async with counts.transaction(Scope.service(event.tenant)) as unit:
        if not await unit.record_once(event, consumer=consumer):
            return False
        await unit.add_case(case)
    return True


async def count_failure(event: Event[InferenceFailed], *, consumer: str, counts: CountStore) -> bool:
    """Count a failed image once, however often its event comes; False when it was counted before.

    Raises:
        Uncountable: nothing was counted, and nothing will be on a repeat.
    """
    failure = failure_of(event.tenant, event.data)
    async with counts.transaction(Scope.service(event.tenant)) as unit:
        if not await unit.record_once(event, consumer=consumer):
            return False
        await unit.add_failure(failure)
    return True


async def get_summary(asked: SummaryScope, *, principal: Principal, counts: CountStore) -> Summary:
    """Sum up the caller's own cases or the tenant's.

    Raises:
        Forbidden: the tenant was asked for by somebody who does not administer it.
    """
    if asked is SummaryScope.TENANT and not principal.is_tenant_admin:
        raise Forbidden(code="tenant_scope_forbidden", detail="Only a tenant administrator sees the tenant's figures.")
    if asked is SummaryScope.TENANT:
        scope = Scope.of(principal)
    else:  # an administrator who asks for their own figures sees no more than a clinician
        scope = Scope(principal.tenant, principal.owner_id, "clinician")
    async with counts.transaction(scope) as unit:
        return summarise(asked, await unit.cells(), failed_cases=await unit.failed_cases())
