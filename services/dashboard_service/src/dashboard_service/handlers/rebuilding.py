"""A tenant's read model made anew from the streams, while the one before it is shown."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from dashboard_service.domain.counting import Change, Uncountable, change_of
from radrelay_shared.events import Event
from radrelay_shared.messaging import Durable, durables

_BATCH: Final = 100
"""Changes in one transaction, which keeps the worker waiting for this tenant."""
SOURCES: Final = (durables.DASHBOARD_REPORTS, durables.DASHBOARD_FAILURES)


class Overtaken(RuntimeError):
    """Another rebuild of the same tenant began."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What a stream holds."""

    last_sequence: int
    complete_since: datetime
    """Of what happened at this time or later everything is there."""


class History(Protocol):
    """The streams, from their beginning."""

    async def extent(self, source: Durable) -> Extent:
        """What the durable's stream holds now."""

    def events(self, source: Durable, tenant: str, last_sequence: int) -> AsyncIterator[tuple[int, Event[Any] | None]]:
        """The sequence and the event of each message of a tenant, up to one; None for what is no event."""


class RebuildStore(Protocol):
    """Where read models are made."""

    async def begin(self, tenant: str) -> int:
        """Have a new, empty read model, in which the worker counts from now on too, and return its number."""

    async def replay(self, tenant: str, number: int, changes: Sequence[Change]) -> None:
        """Bring it to what it is with the changes, in whatever order and however often they come."""

    async def finish(self, tenant: str, number: int, *, reports_since: datetime, failures_since: datetime) -> int:
        """Take over what is older than the streams, show the new read model, and return how much was taken over."""

    async def clear(self, tenant: str) -> None:
        """Remove what was replaced."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the rebuild of a tenant is."""

    tenant: str
    events: int
    share: float
    """Of the streams, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What became of a rebuild."""

    tenant: str
    events: int
    passed_over: int
    """Messages that cannot be counted; the worker made dead letters of them."""
    kept: int
    """Reports and failures older than the streams, taken over from the read model before."""


async def rebuild(tenant: str, *, history: History, models: RebuildStore, tell: Callable[[Progress], None]) -> Rebuilt:
    """Make a tenant's read model anew.

    What happens meanwhile is counted in both. Ended at any point, nothing has changed, and the next one clears up.

    Raises:
        Overtaken: another rebuild of the tenant began.
    """
    number = await models.begin(tenant)
    # Whatever the worker handled before it knew of the new one is in the streams by now.
    extents = [await history.extent(source) for source in SOURCES]
    events = passed_over = 0
    for index, (source, extent) in enumerate(zip(SOURCES, extents, strict=True)):
        changes: list[Change] = []
        async for sequence, event in history.events(source, tenant, extent.last_sequence):
            change = _change(event)
            events += 1
            if change is None:
                passed_over += 1
            else:
                changes.append(change)
            if len(changes) == _BATCH:
                await models.replay(tenant, number, changes)
                changes = []
                tell(Progress(tenant, events, (index + sequence / extent.last_sequence) / len(SOURCES)))
        await models.replay(tenant, number, changes)
    reports, failures = extents
    kept = await models.finish(
        tenant, number, reports_since=reports.complete_since, failures_since=failures.complete_since
    )
    await models.clear(tenant)
    return Rebuilt(tenant, events, passed_over, kept)


def _change(event: Event[Any] | None) -> Change | None:
    if event is None:
        return None
    try:
        return change_of(event.tenant, event.data)
    except Uncountable:
        return None
