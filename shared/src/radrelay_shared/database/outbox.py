"""Transactional outbox: the event commits with the state it announces, and a relay publishes it afterwards.

Source: C. Richardson, "Microservices Patterns" (2018), section 3.3.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from time import monotonic
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import (
    DateTime,
    Executable,
    LargeBinary,
    Row,
    Select,
    Text,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from radrelay_shared.database.session import Database
from radrelay_shared.events import Event
from radrelay_shared.messaging import Outgoing, Publisher, PublishError, subject_for
from radrelay_shared.observability.metrics import OUTBOX_AGE_S, OUTBOX_RELAYED
from radrelay_shared.observability.tracing import TRACEPARENT, current_traceparent

_BATCH: Final = 256
_APART_S: Final = 0.05
"""Between the beginnings of rounds: under load, what commits meanwhile goes in one; a lone event need not wait."""
_POLL_S: Final = 5.0
_RETRY_S: Final = 1.0
_PURGE_S: Final = 3600.0

_log = logging.getLogger(__name__)


class OutboxColumns:
    """The columns of a service's outbox table."""

    event_id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    traceparent: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    published_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


def channel_of(row: type[OutboxColumns]) -> str:
    """The NOTIFY channel that wakes the relay of this outbox."""
    return f"{row.__table__.schema}_outbox"  # type: ignore[attr-defined]  # the mapped class has its table


async def enqueue(
    session: AsyncSession,
    row: type[OutboxColumns],
    *events: Event[Any],
    traceparents: Sequence[str | None] | None = None,
) -> None:
    """Put events into the outbox within the session's transaction, and wake the relay when that commits.

    Args:
        session: has the transaction.
        row: the outbox.
        events: at least one.
        traceparents: the trace that each belongs to; None: the one of now.

    Raises:
        sqlalchemy.exc.IntegrityError: an event with such an id is already there.
    """
    values: dict[str, list[Any]] = {
        "event_id": [event.id for event in events],
        "tenant": [event.tenant for event in events],
        "subject": [subject_for(event) for event in events],
        "payload": [event.to_json() for event in events],
        "traceparent": list(traceparents or [current_traceparent()] * len(events)),
    }
    await session.execute(_enqueuing(row), values)  # type: ignore[arg-type]  # classes hash; mypy takes them for instances


@cache
def _enqueuing(row: type[OutboxColumns]) -> Executable:
    """Takes an array for each column, and is built once: building it for every event costs more than running it."""
    columns = row.__table__.c  # type: ignore[attr-defined]  # the mapped class has its table
    names = ("event_id", "tenant", "subject", "payload", "traceparent")
    given = (func.unnest(bindparam(name, type_=ARRAY(columns[name].type))) for name in names)
    added = insert(row.__table__).from_select(names, select(*given))  # type: ignore[attr-defined]  # as above
    return select(func.pg_notify(channel_of(row), "")).add_cte(added.cte("added"))


async def forget_published(
    session: AsyncSession, row: type[OutboxColumns], instance_ids: Collection[UUID]
) -> frozenset[UUID]:
    """Delete what was published about these images; return those of which something still waits to be published.

    `session` is the system role's. Reads the whole outbox, so ask for many images at once.
    """
    of_instance = cast(func.convert_from(row.payload, "UTF8"), JSONB)["data"]["instance_id"].astext
    about = of_instance.in_([str(each) for each in instance_ids])
    await session.execute(delete(row).where(row.published_at.is_not(None), about))
    return frozenset(UUID(each) for each in await session.scalars(select(of_instance).where(about).distinct()))


async def announce_again(connection: asyncpg.Connection, schema: str, since: datetime) -> int:
    """Have the relay publish again what was put into a service's outbox since then; return how many events these are.

    For a database that was restored beside a broker that lost its streams. Consumers know by their inbox what they
    have applied. Heads of audit chains are left out: they come from their own backup.

    Args:
        connection: as who may change every row of the schema.
        schema: the service's; one without an outbox has nothing to announce.
        since: when the oldest of them was put there.
    """
    if await connection.fetchval("SELECT to_regclass($1)", f"{schema}.outbox") is None:
        return 0
    return len(
        await connection.fetch(
            f"UPDATE {schema}.outbox SET published_at = NULL"  # noqa: S608  # a schema of ours, which exists
            " WHERE created_at >= $1 AND subject NOT LIKE '%.audit.head\\_published%' RETURNING event_id",
            since,
        )
    )


class OutboxRelay:
    """Publishes outbox rows and marks each only after its receipt; several relays may run side by side."""

    def __init__(
        self, database: Database, row: type[OutboxColumns], publisher: Publisher, *, keep_s: float = 7 * 24 * 3600.0
    ) -> None:
        self._database = database
        self._row = row
        # Built once: building them for every round costs more than running them.
        self._pending, self._marking = _pending(row), _marking(row)
        self._publisher = publisher
        self._keep_s = keep_s
        self._service = channel_of(row).removesuffix("_outbox")
        OUTBOX_RELAYED.labels(self._service)
        OUTBOX_AGE_S.labels(self._service)
        self._wake = asyncio.Event()
        self._purge_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop` is set. A database or broker that is away is waited for."""
        listener = asyncio.ensure_future(self._listen())
        stopped = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                began = monotonic()
                try:
                    full = await self.relay_once() >= _BATCH
                    await self._purge_now_and_then()
                except (DBAPIError, OSError, PublishError) as error:
                    _log.warning("outbox relay waits", extra={"error": type(error).__name__})
                    await asyncio.wait([stopped], timeout=_RETRY_S)
                    continue
                if not full:
                    await self._sleep(stopped, began + _APART_S)
        finally:
            listener.cancel()
            stopped.cancel()
            await asyncio.gather(listener, stopped, return_exceptions=True)

    async def _sleep(self, stopped: asyncio.Future[Any], at_least_until: float) -> None:
        woken = asyncio.ensure_future(self._wake.wait())
        await asyncio.wait([woken, stopped], timeout=_POLL_S, return_when=asyncio.FIRST_COMPLETED)
        woken.cancel()
        await asyncio.wait([stopped], timeout=max(0.0, at_least_until - monotonic()))
        self._wake.clear()

    async def relay_once(self) -> int:
        """Publish one batch, oldest first, mark what was confirmed, and return how many rows were seen.

        Raises:
            PublishError: some event got no receipt; those that did are marked.
        """
        async with self._database.system_transaction() as session:
            pending = (await session.execute(self._pending)).all()
            oldest_s = (pending[0].now - pending[0].created_at).total_seconds() if pending else 0.0
            OUTBOX_AGE_S.labels(service=self._service).set(oldest_s)
            if not pending:
                return 0
            outcomes = await self._publisher.publish_together([_outgoing(each) for each in pending])
            confirmed = [each.event_id for each, failure in zip(pending, outcomes, strict=True) if failure is None]
            await session.execute(self._marking, {"confirmed": confirmed, "now": pending[0].now})
        OUTBOX_RELAYED.labels(service=self._service).inc(len(confirmed))
        for failure in outcomes:
            if failure is not None:
                raise failure
        return len(pending)

    async def _purge_now_and_then(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._purge_at:
            self._purge_at = now + _PURGE_S
            await self.purge()

    async def purge(self) -> int:
        """Delete rows that were published longer ago than `keep_s`, and return how many."""
        row = self._row
        age = func.make_interval(0, 0, 0, 0, 0, 0, self._keep_s)
        async with self._database.system_transaction() as session:
            result = await session.execute(delete(row).where(row.published_at < func.now() - age))
            return int(result.rowcount)  # type: ignore[attr-defined]  # DELETE gives a cursor result

    async def _listen(self) -> None:
        """Turn NOTIFY into wake-ups; while this connection is away, the poll in `run` does the work."""
        while True:
            try:
                connection = await self._database.connect_to_listen()
                try:
                    gone = asyncio.Event()
                    connection.add_termination_listener(lambda _, gone=gone: gone.set())
                    await connection.add_listener(channel_of(self._row), lambda *_: self._wake.set())
                    self._wake.set()
                    await gone.wait()
                finally:
                    connection.terminate()
            except (OSError, asyncpg.PostgresError) as error:
                _log.warning("outbox listener waits", extra={"error": type(error).__name__})
            await asyncio.sleep(_RETRY_S)


def _pending(row: type[OutboxColumns]) -> Select[Any]:
    """One batch of what waits, the oldest first, that no other relay has in hand."""
    return (
        select(
            *(row.event_id, row.subject, row.payload, row.traceparent, row.created_at),
            func.clock_timestamp().label("now"),
        )
        .where(row.published_at.is_(None))
        .order_by(row.created_at)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )


def _marking(row: type[OutboxColumns]) -> Executable:
    """Notes of the events `confirmed` that they were published at `now`."""
    confirmed = row.event_id == func.any(bindparam("confirmed", type_=ARRAY(Text)))
    return update(row).where(confirmed).values(published_at=bindparam("now"))


def _outgoing(pending: Row[Any]) -> Outgoing:
    headers = {TRACEPARENT: pending.traceparent} if pending.traceparent else {}
    return Outgoing(pending.subject, pending.payload, pending.event_id, headers)
