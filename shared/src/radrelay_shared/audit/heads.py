"""Tells the world outside of the database how far each audit chain reaches."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from radrelay_shared.audit.ports import AuditStore
from radrelay_shared.audit.tables import ChainStatements, grown_chains
from radrelay_shared.database import Database, Scope
from radrelay_shared.events import AuditHeadPublished, make_event

_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class HeadPublisher:
    """Announces the heads of one service's audit chains through its outbox."""

    service: str
    """As in `messaging.topology.AUDIT_HEADS_OF`."""
    store: AuditStore
    system_database: Database
    """Connects as the system role."""
    statements: ChainStatements

    async def publish(self, interval_s: float) -> int:
        """Announce the heads of the chains that grew since one was published `interval_s` ago; return how many.

        Workers side by side announce a head once.
        """
        now = datetime.now(UTC)
        published = 0
        before = now - timedelta(seconds=interval_s)
        for tenant in await grown_chains(self.system_database, self.statements, before, _AT_ONCE):
            async with self.store.transaction(Scope.service(tenant)) as tx:
                head = await tx.audit_head()
                if head is not None and await tx.mark_head(head, now):
                    data = AuditHeadPublished(
                        service=self.service, sequence=head.sequence, hash=head.hash, recorded_at=head.fact.at
                    )
                    await tx.announce(make_event(data, tenant=tenant, source=f"/radrelay/{self.service}"))
                    published += 1
        return published
