"""What an HTTP process of a service that keeps an audit trail holds open."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from radrelay_shared.audit.log import GatheredReads
from radrelay_shared.audit.ports import AuditStore, ReadLog
from radrelay_shared.audit.refusals import RefusalLog


@dataclass(frozen=True, slots=True)
class Trail:
    """A service's audit trails. The lifespan's state carries it as `audit`."""

    store: AuditStore
    reads: ReadLog
    refusals: RefusalLog


@asynccontextmanager
async def open_trail(store: AuditStore, service: str) -> AsyncIterator[Trail]:
    """The trails of `service`; leaving waits until nothing is being written."""
    async with GatheredReads(store, service) as reads:
        yield Trail(store, reads, RefusalLog(reads, service))
