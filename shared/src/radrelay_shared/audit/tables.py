"""A service's audit chain in PostgreSQL: its columns, and what is done with them. The tables are the service's own.

A service's record table has the columns here and one for each further field of `AuditFact` that its facts may fill.
"""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Row, Table, Text, inspect, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from radrelay_shared.audit.chain import AuditFact, AuditRecord, chain
from radrelay_shared.database import Database

_HOLD_MS: Final = 10_000
"""How long a transaction that holds the audit chain may do nothing before the server ends it."""
_FACT_FIELDS: Final = tuple(field.name for field in fields(AuditFact))

# Who stands still while it holds the chain, as a frozen process does, is ended by the server: all of the tenant waits.
_LOCK: Final = text(
    "SELECT set_config('idle_in_transaction_session_timeout', :hold_ms, true),"
    " pg_advisory_xact_lock(:lock_class, hashtext(:tenant))"
)
# Reads one entry of the primary key's index for each tenant, however long the chains are.
_GROWN_CHAINS: Final = """
    WITH RECURSIVE newest AS (
        (SELECT tenant, sequence FROM {records} ORDER BY tenant DESC, sequence DESC LIMIT 1)
        UNION ALL
        SELECT following.tenant, following.sequence FROM newest CROSS JOIN LATERAL (
            SELECT tenant, sequence FROM {records} AS record
            WHERE record.tenant < newest.tenant ORDER BY tenant DESC, sequence DESC LIMIT 1
        ) AS following
    )
    SELECT tenant FROM newest LEFT JOIN {heads} AS head USING (tenant)
    WHERE head.sequence IS NULL OR (head.sequence < newest.sequence AND head.published_at <= :before)
    ORDER BY head.published_at NULLS FIRST LIMIT :limit
"""


class AuditColumns:
    """The columns of a service's audit chain; a trigger refuses changing or removing a row."""

    tenant: Mapped[str] = mapped_column(Text, primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    batch_id: Mapped[UUID | None]
    instance_id: Mapped[UUID | None]
    fingerprint: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    prev_hash: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(Text)


class AuditHeadColumns:
    """The columns of how far each tenant's chain reached when its head was last published."""

    tenant: Mapped[str] = mapped_column(Text, primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)
    published_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ChainStatements:
    """What is said to the database, built once for a service's tables.

    Args:
        record_row: the table of the chain.
        head_row: the table of how far it was published.
        lock_class: of the advisory locks that order a tenant's writers; each service has its own, as services may share
            a database.
    """

    def __init__(self, record_row: type[AuditColumns], head_row: type[AuditHeadColumns], *, lock_class: int) -> None:
        records, heads = _table(record_row), _table(head_row)
        self.lock_class = lock_class
        self.kept_fields = tuple(name for name in _FACT_FIELDS if name in records.c)
        self.newest = select(records).order_by(records.c.sequence.desc()).limit(1)
        self.add = insert(records)
        self.sequence = records.c.sequence
        self.records = select(records).order_by(records.c.sequence)
        new_head = insert(heads)
        self.mark_head = new_head.on_conflict_do_update(
            index_elements=[heads.c.tenant],
            set_={name: new_head.excluded[name] for name in ("sequence", "published_at")},
            where=heads.c.sequence < new_head.excluded.sequence,
        ).returning(heads.c.sequence)
        self.grown_chains = text(_GROWN_CHAINS.format(records=records.fullname, heads=heads.fullname))

    def values_of(self, record: AuditRecord) -> dict[str, Any]:
        """Column values of a record.

        Raises:
            ValueError: the fact says something that this service's table has no column for.
        """
        fact = record.fact
        lost = [n for n in _FACT_FIELDS if n not in self.kept_fields and getattr(fact, n) is not None]
        if lost:
            raise ValueError(f"this chain keeps no {', '.join(lost)}")
        values = {name: getattr(fact, name) for name in self.kept_fields}
        return values | {"sequence": record.sequence, "prev_hash": record.prev_hash, "hash": record.hash}

    def record_of(self, row: Row[Any]) -> AuditRecord:
        """A record from its row."""
        columns = row._mapping  # SQLAlchemy's public view of a row, despite its underscore
        fact = AuditFact(**{name: columns[name] for name in self.kept_fields})
        return AuditRecord(fact, columns["sequence"], columns["prev_hash"], columns["hash"])


class ChainTransaction:
    """The part of a service's transaction that is about its tenant's audit chain."""

    def __init__(self, connection: AsyncConnection | AsyncSession, statements: ChainStatements) -> None:
        self._chain_connection = connection
        self._chain_statements = statements

    async def audit(self, *facts: AuditFact) -> None:
        """Append to the tenant's audit chain; the lock orders its writers until they commit."""
        chained = self._chain_statements
        await self._chain_connection.execute(
            _LOCK, {"tenant": facts[0].tenant, "hold_ms": str(_HOLD_MS), "lock_class": chained.lock_class}
        )
        newest = await self.audit_head()
        records = []
        for fact in facts:
            newest = chain(fact, newest)
            records.append(chained.values_of(newest))
        await self._chain_connection.execute(chained.add, records)

    async def audit_records(self, after: int, limit: int) -> Sequence[AuditRecord]:
        """Records of the tenant's audit chain that follow number `after`, in order."""
        chained = self._chain_statements
        query = chained.records.where(chained.sequence > after).limit(limit)
        return [chained.record_of(row) for row in await self._chain_connection.execute(query)]

    async def audit_head(self) -> AuditRecord | None:
        """The newest record of the tenant's audit chain."""
        row = (await self._chain_connection.execute(self._chain_statements.newest)).first()
        return self._chain_statements.record_of(row) if row else None

    async def mark_head(self, head: AuditRecord, at: datetime) -> bool:
        """Record that this head is published at `at`; False where it, or a newer one, was before."""
        values = {"tenant": head.fact.tenant, "sequence": head.sequence, "published_at": at}
        return (await self._chain_connection.execute(self._chain_statements.mark_head, values)).first() is not None


async def grown_chains(
    system_database: Database, statements: ChainStatements, before: datetime, limit: int
) -> Sequence[str]:
    """Tenants whose audit chain is longer than its published head, which is older than the given time.

    Those come first that have waited the longest. `system_database` connects as the system role.
    """
    async with system_database.system_transaction() as session:
        return list(await session.scalars(statements.grown_chains, {"before": before, "limit": limit}))


def _table(mapped: type[Any]) -> Table:
    table = inspect(mapped).local_table
    if not isinstance(table, Table):
        raise TypeError(f"{mapped.__name__} is not mapped to a table")
    return table
