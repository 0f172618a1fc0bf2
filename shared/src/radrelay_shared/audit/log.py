"""Reads, and refusals, in the audit chain, many in one transaction."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from radrelay_shared.audit.chain import AuditFact
from radrelay_shared.audit.ports import AuditStore
from radrelay_shared.database import Scope
from radrelay_shared.gathering import Gathering
from radrelay_shared.observability.metrics import READS_RECORDED

_AT_ONCE: Final = 500


class GatheredReads:
    """The read log. Use as an async context manager: leaving it waits until nothing is being written.

    While one transaction of a tenant commits, the tenant's further reads gather, and then go in the next one together.
    So the chain is locked once for many reads, and a read waits for two commits at most, and for whoever else holds
    the chain. Tenants do not wait for each other.
    """

    def __init__(self, store: AuditStore, service: str) -> None:
        self._store = store
        self._service = service
        self._facts: Gathering[str, AuditFact, None] = Gathering(
            self._append, at_once=_AT_ONCE, name="append audit records"
        )

    async def __aenter__(self) -> Self:
        await self._facts.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._facts.__aexit__(kind, error, trace)

    async def record(self, fact: AuditFact) -> None:
        """Return when the fact is committed to its tenant's chain.

        Raises:
            Exception: what kept it from being committed.
        """
        await self._facts.do(fact.tenant, fact)

    async def _append(self, tenant: str, facts: Sequence[AuditFact]) -> Sequence[None]:
        async with self._store.transaction(Scope.service(tenant)) as tx:
            await tx.audit(*facts)
        READS_RECORDED.labels(service=self._service).inc(len(facts))
        return [None] * len(facts)
