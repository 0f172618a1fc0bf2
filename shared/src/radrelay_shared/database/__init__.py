"""PostgreSQL by SQLAlchemy and asyncpg: tenant transactions, outbox and inbox. No concrete tables."""

from radrelay_shared.database.base import metadata_for
from radrelay_shared.database.inbox import InboxColumns, record_once
from radrelay_shared.database.listening import ChangeListener, WakeUps
from radrelay_shared.database.outages import OUTAGES, is_database_outage
from radrelay_shared.database.outbox import OutboxColumns, OutboxRelay, enqueue, forget_published
from radrelay_shared.database.session import Database, Scope
from radrelay_shared.database.settings import DatabaseSettings

__all__ = [
    "OUTAGES",
    "ChangeListener",
    "Database",
    "DatabaseSettings",
    "InboxColumns",
    "OutboxColumns",
    "OutboxRelay",
    "Scope",
    "WakeUps",
    "enqueue",
    "forget_published",
    "is_database_outage",
    "metadata_for",
    "record_once",
]
