"""What is on its way to destinations, of all tenants, as the system role sees it on PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, exists, func, select, tuple_, update

from radrelay_shared.database import Database
from report_service.adapters.destinations import destination_of
from report_service.adapters.tables import Base
from report_service.delivering import Parcel
from report_service.domain.destinations import Attempt, DeliveryState, Destination, PauseReason

_TABLES = Base.metadata.tables
_destinations, _deliveries = _TABLES["report.destinations"], _TABLES["report.deliveries"]
_AT_ONCE: Final = 1000
_PENDING: Final = _deliveries.c.state == DeliveryState.PENDING.value
_OF_ONE: Final = and_(
    _deliveries.c.tenant == _destinations.c.tenant, _deliveries.c.destination_id == _destinations.c.destination_id
)
_KEY: Final = (_deliveries.c.tenant, _deliveries.c.destination_id, _deliveries.c.event_id)


class PostgresDeliveryQueue:
    """Implements the port; each method is one transaction."""

    def __init__(self, system_database: Database) -> None:
        self._database = system_database

    async def ready(self, now: datetime) -> Sequence[Destination]:
        """Destinations that something is due for, and that may be asked now."""
        due = exists().where(_OF_ONE, _PENDING, _deliveries.c.due_at <= now)
        rested = func.coalesce(_destinations.c.rests_until, now) <= now
        query = select(_destinations).where(_destinations.c.paused.is_(None), rested, due)
        async with self._database.system_transaction() as session:
            return [destination_of(row) for row in await session.execute(query)]

    async def claim(self, destination: Destination, now: datetime, until: datetime, limit: int) -> Sequence[Parcel]:
        """Have what is due for a destination to oneself until then, the longest due first."""
        due = (
            select(*_KEY)
            .where(*_is(destination), _PENDING, _deliveries.c.due_at <= now)
            .order_by(_deliveries.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = (
            update(_deliveries)
            .where(tuple_(*_KEY).in_(due))
            .values(due_at=until, attempts=_deliveries.c.attempts + 1)
            .returning(_deliveries.c.event_id, _deliveries.c.payload, _deliveries.c.attempts, _deliveries.c.expires_at)
        )
        async with self._database.system_transaction() as session:
            return [Parcel(destination, *row) for row in await session.execute(statement)]

    async def settle(self, parcel: Parcel, attempt: Attempt, state: DeliveryState, now: datetime) -> None:
        """Note that it has arrived, or is given up; unless it is not there any more."""
        await self._note(
            parcel, attempt, state=state.value, settled_at=now, payload=None if attempt.succeeded else parcel.payload
        )

    async def put_off(self, parcel: Parcel, attempt: Attempt, due_at: datetime) -> None:
        """Note that it has not arrived, and when it is tried again; likewise."""
        await self._note(parcel, attempt, due_at=due_at)

    async def _note(self, parcel: Parcel, attempt: Attempt, **values: Any) -> None:
        last = {"last_status": attempt.status, "last_reason": attempt.reason}
        one = (*_is(parcel.destination), _deliveries.c.event_id == parcel.event_id, _PENDING)
        async with self._database.system_transaction() as session:
            await session.execute(update(_deliveries).where(*one).values(**last, **values))

    async def rest(self, destination: Destination, failures: int, until: datetime | None) -> None:
        """Note how often in a row a destination failed, and leave it alone until then."""
        await self._change(destination, failures=failures, rests_until=until)

    async def pause(self, destination: Destination, reason: PauseReason, now: datetime) -> None:
        """Send it nothing until an administrator resumes it; unless one changed it meanwhile."""
        values = {"version": destination.version + 1, "paused": reason.value, "changed_at": now}
        await self._change(destination, _destinations.c.version == destination.version, **values)

    async def _change(self, destination: Destination, *when: ColumnElement[bool], **values: Any) -> None:
        one = (
            _destinations.c.tenant == destination.tenant,
            _destinations.c.destination_id == destination.destination_id,
        )
        async with self._database.system_transaction() as session:
            await session.execute(update(_destinations).where(*one, *when).values(values))

    async def give_up(self, now: datetime) -> int:
        """Give up what is pending and whose time is over, whether it was tried or not; return how many."""
        over = select(*_KEY).where(_PENDING, _deliveries.c.expires_at <= now).limit(_AT_ONCE)
        statement = (
            update(_deliveries)
            .where(tuple_(*_KEY).in_(over.with_for_update(skip_locked=True)))
            .values(
                state=DeliveryState.FAILED.value,
                settled_at=now,
                last_reason=func.coalesce(_deliveries.c.last_reason, "not_sent_in_time"),
            )
            .returning(_deliveries.c.event_id)
        )
        async with self._database.system_transaction() as session:
            return len((await session.execute(statement)).all())

    async def forget(self, settled_before: datetime) -> int:
        """Remove what was settled before, and return how many."""
        old = select(*_KEY).where(_deliveries.c.settled_at < settled_before).limit(_AT_ONCE)
        statement = delete(_deliveries).where(tuple_(*_KEY).in_(old.with_for_update(skip_locked=True)))
        async with self._database.system_transaction() as session:
            return len((await session.execute(statement.returning(_deliveries.c.event_id))).all())

    async def oldest(self) -> datetime | None:
        """When the oldest was noted that waits for a destination that is not paused."""
        query = select(func.min(_deliveries.c.created_at)).join(_destinations, _OF_ONE)
        async with self._database.system_transaction() as session:
            found = await session.execute(query.where(_PENDING, _destinations.c.paused.is_(None)))
            oldest: datetime | None = found.scalar()
        return oldest


def _is(destination: Destination) -> tuple[ColumnElement[bool], ...]:
    return _deliveries.c.tenant == destination.tenant, _deliveries.c.destination_id == destination.destination_id
