"""Events to counts."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from dashboard_service.domain.counting import Change, change_of
from radrelay_shared.database import Scope
from radrelay_shared.events import Event


@dataclass(frozen=True, slots=True)
class Generation:
    """One read model of a tenant."""

    number: int
    shown: bool
    """Whether the API answers from it: its rollups are kept. Those of one that is being made are counted at its end."""


class CountUnit(Protocol):
    """One transaction on the read models of a tenant."""

    async def record_once(self, event: Event[Any], *, consumer: str) -> bool:
        """Note that `consumer` has counted the event; False where it had before."""

    async def hold(self) -> list[Generation]:
        """Keep everybody else out of the tenant's read models till the end, and return those; there is one at least."""

    async def apply(self, change: Change, generation: Generation) -> None:
        """Bring rows, and the rollups where they are kept, to what they are with the change; repeating it does nothing.

        It does not matter in which order the changes of a report and its image come.
        """

    async def announce(self) -> None:
        """Wake who watches the tenant's figures, when the transaction commits."""


class CountStore(Protocol):
    """Where counts are kept."""

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[CountUnit]:
        """Commits on normal exit, else rolls back; sees and writes only what the scope allows."""


async def count_event(event: Event[Any], *, consumer: str, counts: CountStore) -> bool:
    """Count a report, review, erasure or failure once, however often its event comes; False when it was before.

    Raises:
        Uncountable: nothing was counted, and nothing will be on a repeat.
    """
    change = change_of(event.tenant, event.data)
    async with counts.transaction(Scope.service(event.tenant)) as unit:
        if not await unit.record_once(event, consumer=consumer):
            return False
        for generation in await unit.hold():
            await unit.apply(change, generation)
        await unit.announce()
    return True
