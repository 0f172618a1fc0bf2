"""The services that keep audit trails, as the tests of the trails need them: the same for each."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import httpx

from radrelay_shared.audit import AuditFact, AuditRecord
from radrelay_shared.audit.heads import HeadPublisher
from radrelay_shared.audit.ports import AuditStore
from radrelay_shared.audit.tables import ChainStatements
from radrelay_shared.database import Database, OutboxColumns, Scope
from radrelay_shared.process import Jobs
from support.tokens import TestIssuer

Worker = Callable[[asyncio.Event], AbstractAsyncContextManager[Jobs]]


@dataclass(frozen=True)
class AuditedService:
    """A running service and its database."""

    name: str
    client: httpx.AsyncClient
    issuer: TestIssuer
    database: Database
    """The runtime role's."""
    system: Database
    admin_dsn: str
    """Of one whom no row security binds."""
    store: AuditStore
    statements: ChainStatements
    outbox: type[OutboxColumns]
    listing: str
    """A path whose reading makes one record."""
    thing: str
    """A path with `{}` for an identifier that may be somebody else's."""
    worker: Worker
    """Publishes heads all the time."""

    @property
    def table(self) -> str:
        """The chain's, with its schema."""
        return f"{self.name}.audit"

    @property
    def url(self) -> str:
        """The API's address."""
        return str(self.client.base_url)

    async def get(
        self, path: str, tenant: str, user: str = "dr-a", roles: tuple[str, ...] = ("clinician",)
    ) -> httpx.Response:
        """What a user is answered."""
        return await self.client.get(path, headers=self.issuer.bearer(tenant, user, roles))

    async def read(self, tenant: str) -> None:
        """Something that adds one record to the tenant's chain."""
        response = await self.get(self.listing, tenant)
        assert response.status_code == 200, response.text

    async def records(self, tenant: str) -> list[AuditRecord]:
        """The tenant's chain."""
        async with self.store.transaction(Scope.service(tenant)) as tx:
            return list(await tx.audit_records(0, 1000))

    def heads(self, store: AuditStore | None = None) -> HeadPublisher:
        """Announces heads."""
        return HeadPublisher(self.name, store or self.store, self.system, self.statements)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """The worker runs while the block does."""
        stop = asyncio.Event()
        async with self.worker(stop) as (jobs, _):
            running = [asyncio.ensure_future(job) for job in jobs]
            try:
                yield
            finally:
                stop.set()
                await asyncio.gather(*running)


def some_fact(tenant: str) -> AuditFact:
    """A read of a batch."""
    return AuditFact(tenant, "dr-a", "batch.read", datetime.now(UTC), uuid4())
