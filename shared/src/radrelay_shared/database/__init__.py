"""PostgreSQL by SQLAlchemy and asyncpg: tenant transactions, outbox and inbox. No concrete tables."""

from radrelay_shared.database.base import metadata_for
from radrelay_shared.database.inbox import InboxColumns, record_once
from radrelay_shared.database.outbox import OutboxColumns, OutboxRelay, enqueue
from radrelay_shared.database.session import Database, DatabaseSettings, Scope

__all__ = [
    "Database",
    "DatabaseSettings",
    "InboxColumns",
    "OutboxColumns",
    "OutboxRelay",
    "Scope",
    "enqueue",
    "metadata_for",
    "record_once",
]
