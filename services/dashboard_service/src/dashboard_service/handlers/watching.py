"""Figures each time they change."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from time import monotonic
from typing import Final, Protocol

from dashboard_service.handlers.questions import FigureStore, Question
from dashboard_service.handlers.reading import Summary, get_summary
from radrelay_shared.auth import Principal

_PAUSE_S: Final = 0.02
"""Between two looks, so that a busy tenant costs each watcher fifty a second at most."""
_RECHECK_S: Final = 15.0


class Changes(Protocol):
    """Wake-ups; many changes may come as one."""

    async def wait(self, timeout_s: float) -> None:
        """Return after a change since the last call, or after the time."""


class FigureChanges(Protocol):
    """Tells when a tenant's figures change."""

    def subscribe(self, payload: str) -> AbstractAsyncContextManager[Changes]:
        """Wake-ups for the tenant of this name while the block runs."""


async def watch_summary(
    question: Question, *, principal: Principal, store: FigureStore, changes: FigureChanges, for_s: float
) -> AsyncGenerator[Summary, None]:
    """The summary as it is now, then each time it changes, for so many seconds.

    Raises:
        Forbidden: as `get_summary`.
        BadRequest: as `get_summary`.
    """
    async with changes.subscribe(principal.tenant) as wake_ups:
        last: Summary | None = None
        until = monotonic() + for_s
        while (left_s := until - monotonic()) > 0:
            summary = await get_summary(question, principal=principal, store=store)
            if summary != last:
                yield summary
            last = summary
            await asyncio.sleep(min(_PAUSE_S, left_s))
            await wake_ups.wait(min(_RECHECK_S, left_s))
