"""What keeping an audit trail needs of a service's database."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

from radrelay_shared.audit.chain import AuditFact, AuditRecord
from radrelay_shared.database import Scope
from radrelay_shared.events import Event


class AuditTransaction(Protocol):
    """One transaction of one tenant."""

    async def audit(self, *facts: AuditFact) -> None:
        """Append to the tenant's audit chain. Call it last: other writers of the tenant wait from here to the end."""

    async def audit_records(self, after: int, limit: int) -> Sequence[AuditRecord]:
        """Records of the tenant's audit chain that follow number `after`, in order."""

    async def audit_head(self) -> AuditRecord | None:
        """The newest record of the tenant's audit chain."""

    async def mark_head(self, head: AuditRecord, at: datetime) -> bool:
        """Record that this head is published at `at`; False where it, or a newer one, was before."""

    async def announce(self, *events: Event[Any]) -> None:
        """Put events in the outbox."""


class AuditStore(Protocol):
    """A service's database."""

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[AuditTransaction]:
        """Commits when the block ends, rolls back when it raises."""


class ReadLog(Protocol):
    """Records who read what, before it is answered."""

    async def record(self, fact: AuditFact) -> None:
        """Return when the fact is in the tenant's audit chain for good.

        Raises:
            Exception: it could not be recorded, and so the read must not be answered.
        """
