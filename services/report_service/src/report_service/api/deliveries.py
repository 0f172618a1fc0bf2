"""The routes of what is on its way to a destination."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from radrelay_shared.auth import CurrentPrincipal
from radrelay_shared.database import Scope
from radrelay_shared.http import problems
from report_service.api import cursor as cursors
from report_service.api.destinations import destinations_of
from report_service.destinations import Position
from report_service.domain.destinations import Delivery, DeliveryState

router = APIRouter(prefix="/v1/destinations/{destination_id}", tags=["destinations"])

_MISSING = "`destination_not_found`"
EventId = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[!-~]+$")]


class DeliveryOut(BaseModel):
    """One event on its way to a destination; what it says is not shown."""

    event_id: str = Field(description="Of the event; sent as `webhook-id`.")
    event_type: str
    state: DeliveryState = Field(description="`failed`: given up.")
    attempts: int
    last_status: int | None = Field(description="HTTP status of the last answer; null where there was none.")
    last_reason: str | None = Field(description="Why the last attempt failed, such as `timeout`.")
    created_at: datetime
    due_at: datetime | None = Field(description="When it is tried next; null where it is settled.")
    settled_at: datetime | None

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """The view of a delivery."""
        return cls(
            event_id=delivery.event_id,
            event_type=delivery.event_type,
            state=delivery.state,
            attempts=delivery.attempts,
            last_status=delivery.last_status,
            last_reason=delivery.last_reason,
            created_at=delivery.created_at,
            due_at=delivery.due_at if delivery.state is DeliveryState.PENDING else None,
            settled_at=delivery.settled_at,
        )


class DeliveriesOut(BaseModel):
    """What was on its way of late, the newest first."""

    deliveries: list[DeliveryOut]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last.")


@router.get("/deliveries", responses=problems({400: "`invalid_cursor`", 403: "`not_tenant_admin`", 404: _MISSING}))
async def list_deliveries(
    request: Request,
    principal: CurrentPrincipal,
    destination_id: UUID,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=512)] = None,
) -> DeliveriesOut:
    """Deliveries to a destination, while they are kept."""
    destinations = destinations_of(request, principal)
    before = None if cursor is None else cursors.read(cursor, _position)
    page = await destinations.deliveries(destination_id, before=before, limit=limit, scope=Scope.of(principal))
    return DeliveriesOut(
        deliveries=[DeliveryOut.of(each) for each in page.deliveries],
        next_cursor=page.next_before and cursors.written(page.next_before[0].isoformat(), page.next_before[1]),
    )


@router.post(
    "/test",
    status_code=202,
    responses=problems({403: "`not_tenant_admin`", 404: _MISSING, 409: "`destination_paused`"}),
)
async def test_destination(request: Request, principal: CurrentPrincipal, destination_id: UUID) -> DeliveryOut:
    """Send an event of the type `org.radrelay.destination.tested.v1`, which is about no report."""
    destinations = destinations_of(request, principal)
    return DeliveryOut.of(await destinations.test(destination_id, scope=Scope.of(principal)))


@router.post(
    "/deliveries/{event_id}/redeliver",
    status_code=202,
    responses=problems(
        {
            403: "`not_tenant_admin`",
            404: f"{_MISSING}, `delivery_not_found`",
            409: "`destination_paused`, `delivery_not_failed`",
        }
    ),
)
async def redeliver(
    request: Request, principal: CurrentPrincipal, destination_id: UUID, event_id: EventId
) -> DeliveryOut:
    """Have an event sent again that was given up; it is tried for as long as a new one."""
    destinations = destinations_of(request, principal)
    return DeliveryOut.of(await destinations.repeat(destination_id, event_id, scope=Scope.of(principal)))


def _position(created_at: str, event_id: str) -> Position:
    if "\0" in event_id:
        raise ValueError("no event is called so")
    return cursors.moment(created_at), event_id
