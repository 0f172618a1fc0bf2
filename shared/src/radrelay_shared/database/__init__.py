"""PostgreSQL by SQLAlchemy and asyncpg: tenant transactions, outbox and inbox. No concrete tables."""

from radrelay_shared.database.base import metadata_for
from radrelay_shared.database.inbox import InboxColumns, record_once
from radrelay_shared.database.outages import OUTAGES, is_database_outage
from radrelay_shared.database.outbox import OutboxColumns, OutboxRelay, enqueue
from radrelay_shared.database.session import Database, DatabaseSettings, Scope

__all__ = [
    "OUTAGES",
    "Database",
    "DatabaseSettings",
    "InboxColumns",
    "OutboxColumns",
    "OutboxRelay",
    "Scope",
    "enqueue",
    "is_database_outage",
    "metadata_for",
    "record_once",
]
