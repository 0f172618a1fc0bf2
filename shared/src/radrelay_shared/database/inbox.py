"""Inbox: the ids of events already applied, in the same transaction as what they changed.

The broker's duplicate window ends after minutes; this does not.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Text, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from radrelay_shared.events import Event


class InboxColumns:
    """The columns of a service's inbox table."""

    tenant: Mapped[str] = mapped_column(Text, primary_key=True)
    consumer: Mapped[str] = mapped_column(Text, primary_key=True)
    event_id: Mapped[str] = mapped_column(Text, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


async def record_once(session: AsyncSession, row: type[InboxColumns], *, consumer: str, event: Event[Any]) -> bool:
    """Record that `consumer` applies `event` now; False when it did before, and the caller then changes nothing."""
    statement = insert(row).values(tenant=event.tenant, consumer=consumer, event_id=event.id).on_conflict_do_nothing()
    result = await session.execute(statement)
    return bool(result.rowcount)  # type: ignore[attr-defined]  # INSERT gives a cursor result
