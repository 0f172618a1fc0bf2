"""Destinations on PostgreSQL: the part of a tenant's transaction that is about them."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, ScalarSelect, bindparam, delete, func, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from radrelay_shared.events import Event, ReportCreated, ReportReviewed
from report_service.adapters.tables import Base
from report_service.domain.destinations import (
    GIVEN_UP_AFTER,
    Delivery,
    DeliveryState,
    Destination,
    Kind,
    PauseReason,
    Standing,
    Topic,
    topic_of,
)

COUNTED_UP_TO: Final = 1000
_TABLES = Base.metadata.tables
_destinations, _deliveries = _TABLES["report.destinations"], _TABLES["report.deliveries"]
_FIELDS = tuple(field.name for field in fields(Destination))
_WANTING: Final = (
    select(_destinations.c.destination_id, _destinations.c.topics)
    .where(_destinations.c.tenant == bindparam("tenant"), _destinations.c.paused.is_(None))
    .with_for_update(key_share=True, read=True)
)
_ONE: Final = (
    _deliveries.c.tenant == _destinations.c.tenant,
    _deliveries.c.destination_id == _destinations.c.destination_id,
)


def _counted(state: DeliveryState) -> ScalarSelect[int]:
    some = select(literal(1)).where(*_ONE, _deliveries.c.state == state.value).correlate(_destinations)
    return select(func.count()).select_from(some.limit(COUNTED_UP_TO).lateral()).scalar_subquery()


_STANDINGS: Final = select(
    _destinations,
    _counted(DeliveryState.PENDING).label("pending"),
    _counted(DeliveryState.FAILED).label("failed"),
    select(func.max(_deliveries.c.settled_at))
    .where(*_ONE, _deliveries.c.state == DeliveryState.DELIVERED.value)
    .correlate(_destinations)
    .scalar_subquery()
    .label("last_delivered_at"),
).order_by(_destinations.c.created_at, _destinations.c.destination_id)


class DestinationTransaction:
    """Destinations of one tenant, and what is on its way to them."""

    def __init__(self, session: AsyncSession, tenant: str) -> None:
        self._destination_session = session
        self._destination_tenant = tenant

    async def add_destination(self, destination: Destination) -> None:
        """Keep a new one."""
        await self._destination_session.execute(insert(_destinations).values(_values(destination)))

    async def standings(self) -> list[Standing]:
        """All there are, the oldest first."""
        found = await self._destination_session.execute(self._own(_STANDINGS))
        return [_standing(row) for row in found]

    async def standing(self, destination_id: UUID) -> Standing | None:
        """One, and how deliveries to it go."""
        query = self._own(_STANDINGS).where(_destinations.c.destination_id == destination_id)
        row = (await self._destination_session.execute(query)).one_or_none()
        return None if row is None else _standing(row)

    async def lock_destination(self, destination_id: UUID) -> Destination | None:
        """One, which nobody else changes until the transaction ends."""
        query = self._own(select(_destinations)).where(_destinations.c.destination_id == destination_id)
        row = (await self._destination_session.execute(query.with_for_update())).one_or_none()
        return None if row is None else destination_of(row)

    async def change_destination(self, destination: Destination) -> None:
        """Keep it as it is now; it is tried again at once."""
        statement = update(_destinations).where(*self._is(destination.destination_id))
        await self._destination_session.execute(statement.values(_values(destination) | {"rests_until": None}))

    async def remove_destination(self, destination_id: UUID) -> None:
        """Remove it, and all that is on its way to it."""
        await self._destination_session.execute(delete(_destinations).where(*self._is(destination_id)))

    async def note_for_destinations(self, *events: Event[Any]) -> None:
        """Note the events for each destination that wants them, in the transaction that announces them.

        No destination is removed before it ends.
        """
        wanting = (await self._destination_session.execute(_WANTING, {"tenant": self._destination_tenant})).all()
        deliveries = [
            self._delivery(each.destination_id, event)
            for each in wanting
            for event in events
            if topic_of(event.data) in each.topics
        ]
        if deliveries:
            await self._destination_session.execute(insert(_deliveries), deliveries)

    async def add_delivery(self, destination_id: UUID, event: Event[Any]) -> None:
        """Note an event that is for this destination alone."""
        await self._destination_session.execute(insert(_deliveries), [self._delivery(destination_id, event)])

    def _delivery(self, destination_id: UUID, event: Event[Any]) -> dict[str, Any]:
        """Its row. What is told of an erased report is kept when that is erased; nothing else of it is."""
        now = datetime.now(UTC)
        return {
            "tenant": self._destination_tenant,
            "destination_id": destination_id,
            "event_id": event.id,
            "event_type": event.type,
            "report_id": event.data.report_id if isinstance(event.data, ReportCreated | ReportReviewed) else None,
            "payload": event.to_json(),
            "created_at": now,
            "due_at": now,
            "expires_at": now + GIVEN_UP_AFTER,
        }

    async def deliveries(self, destination_id: UUID, before: tuple[datetime, str] | None, limit: int) -> list[Delivery]:
        """What was noted for a destination, the newest first: at most `limit` of those before that one."""
        order = (_deliveries.c.created_at, _deliveries.c.event_id)
        query = select(_deliveries).where(*self._of(destination_id))
        if before is not None:
            query = query.where(tuple_(*order) < before)
        query = query.order_by(*(each.desc() for each in order)).limit(limit)
        return [_delivery(row) for row in await self._destination_session.execute(query)]

    async def delivery(self, destination_id: UUID, event_id: str) -> Delivery | None:
        """One of them."""
        query = select(_deliveries).where(*self._of(destination_id), _deliveries.c.event_id == event_id)
        row = (await self._destination_session.execute(query)).one_or_none()
        return None if row is None else _delivery(row)

    async def repeat_delivery(self, destination_id: UUID, event_id: str, at: datetime) -> bool:
        """Have one tried again that was given up; False where it was not."""
        given_up = (_deliveries.c.event_id == event_id, _deliveries.c.state == DeliveryState.FAILED.value)
        statement = update(_deliveries).where(*self._of(destination_id), *given_up)
        statement = statement.values(
            state=DeliveryState.PENDING.value, attempts=0, due_at=at, expires_at=at + GIVEN_UP_AFTER, settled_at=None
        )
        again = await self._destination_session.execute(statement.returning(_deliveries.c.event_id))
        return again.first() is not None

    def _own(self, query: Any) -> Any:
        return query.where(_destinations.c.tenant == self._destination_tenant)

    def _is(self, destination_id: UUID) -> tuple[Any, ...]:
        return (
            _destinations.c.tenant == self._destination_tenant,
            _destinations.c.destination_id == destination_id,
        )

    def _of(self, destination_id: UUID) -> tuple[Any, ...]:
        return _deliveries.c.tenant == self._destination_tenant, _deliveries.c.destination_id == destination_id


def destination_of(row: Row[Any]) -> Destination:
    """A destination from its row."""
    columns = row._mapping  # SQLAlchemy's public view of a row, despite its underscore
    values = {name: columns[name] for name in _FIELDS} | {
        "kind": Kind(columns["kind"]),
        "topics": tuple(map(Topic, columns["topics"])),
        "paused": columns["paused"] and PauseReason(columns["paused"]),
    }
    return Destination(**values)


def _values(destination: Destination) -> dict[str, Any]:
    values = {name: getattr(destination, name) for name in _FIELDS}
    return values | {"topics": [each.value for each in destination.topics]}


def _standing(row: Row[Any]) -> Standing:
    return Standing(destination_of(row), row.pending, row.failed, row.last_delivered_at)


def _delivery(row: Row[Any]) -> Delivery:
    columns = row._mapping  # as above
    values = {field.name: columns[field.name] for field in fields(Delivery)}
    return Delivery(**values | {"state": DeliveryState(columns["state"])})
