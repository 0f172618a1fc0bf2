"""The routes under /v1/destinations, for the tenant's administrators."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from radrelay_shared.auth import CurrentPrincipal, Principal
from radrelay_shared.database import Scope
from radrelay_shared.http import PreconditionRequired, problems
from report_service.api.administrators import check_administrator
from report_service.api.dependencies import container_of
from report_service.api.tags import is_current, tag_of
from report_service.destinations import Destinations, Wish
from report_service.domain.destinations import Kind, PauseReason, Standing, Topic
from report_service.domain.places import MAX_URL_CHARACTERS

router = APIRouter(prefix="/v1/destinations", tags=["destinations"])

_ETAG: Final[dict[str, Any]] = {
    "headers": {"ETag": {"description": "Give it as `If-Match` to change it.", "schema": {"type": "string"}}}
}
_CHANGING: Final = {
    403: "`not_tenant_admin`",
    404: "`destination_not_found`",
    412: "`destination_changed`",
    428: "`if_match_required`",
}
_URL_PROBLEMS: Final = (
    "`invalid_destination_url`, `destination_host_not_allowed`; `invalid_request`: the request does not fit its schema."
)

Name = Annotated[
    str,
    Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$", description="Shown as given: escape it."),
]
Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL_CHARACTERS,
        description="Where events are posted to. Administrators see it: put no secret there.",
    ),
]
Topics = Annotated[list[Topic], Field(min_length=1, max_length=len(Topic), description="What it is told of.")]
IfMatch = Annotated[str | None, Header(description="The `ETag` of the destination.")]


class NewDestination(BaseModel):
    """A place that results are to be sent to."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    url: Url
    event_types: Topics


class DestinationChange(BaseModel):
    """What is to be different; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    url: Url | None = None
    event_types: Topics | None = None
    paused: bool | None = Field(default=None, description="While it is, nothing is sent and nothing gathers.")


class DestinationOut(BaseModel):
    """A destination, and how deliveries to it go."""

    destination_id: UUID
    kind: Literal[Kind.WEBHOOK]
    name: str
    url: str
    event_types: list[Topic]
    paused: bool
    pause_reason: PauseReason | None = Field(description="`gone`: it answered 410.")
    failing: bool = Field(description="The last attempt failed.")
    pending: int = Field(description="Events on their way; 1000 stands for 1000 or more.")
    failed: int = Field(description="Events that were given up; likewise.")
    last_delivered_at: datetime | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    etag: str = Field(description="Give it as `If-Match` to change it.")

    @classmethod
    def of(cls, standing: Standing) -> Self:
        """The view of a destination."""
        return cls(**_fields(standing))


class DestinationWithSecret(DestinationOut):
    """A destination, and once only what its events are signed with."""

    secret: str = Field(description="Keep it where events are verified: it is not shown again.")

    @classmethod
    def telling(cls, standing: Standing, secret: str) -> Self:
        """The view of a destination whose secret is new."""
        return cls(**_fields(standing), secret=secret)


class DestinationsOut(BaseModel):
    """All of the tenant's, the oldest first."""

    destinations: list[DestinationOut]
    allowed_hosts: list[str] = Field(description="Where destinations may be, as whoever operates the service has set.")


@router.get("", responses=problems({403: "`not_tenant_admin`"}))
async def list_destinations(request: Request, principal: CurrentPrincipal) -> DestinationsOut:
    """The tenant's destinations."""
    destinations = destinations_of(request, principal)
    found = await destinations.list(scope=Scope.of(principal))
    return DestinationsOut(
        destinations=[DestinationOut.of(each) for each in found],
        allowed_hosts=[str(each) for each in destinations.allowed],
    )


@router.post(
    "",
    status_code=201,
    responses={
        201: _ETAG,
        **problems(
            {
                400: "`bad_request`: the body is no JSON.",
                403: "`not_tenant_admin`",
                409: "`no_destination_hosts`, `too_many_destinations`",
                422: _URL_PROBLEMS,
                503: "`destinations_unavailable`",
            }
        ),
    },
)
async def create_destination(
    request: Request, response: Response, principal: CurrentPrincipal, body: NewDestination
) -> DestinationWithSecret:
    """Have your tenant's results sent to a webhook from now on. Its secret is shown in this answer alone."""
    standing, secret = await destinations_of(request, principal).create(
        body.name, body.url, body.event_types, scope=Scope.of(principal)
    )
    _tag(response, standing)
    return DestinationWithSecret.telling(standing, secret)


@router.get(
    "/{destination_id}",
    responses={200: _ETAG, **problems({403: "`not_tenant_admin`", 404: "`destination_not_found`"})},
)
async def get_destination(
    request: Request, response: Response, principal: CurrentPrincipal, destination_id: UUID
) -> DestinationOut:
    """One destination; its `ETag` is what a change of it names in `If-Match`."""
    standing = await destinations_of(request, principal).get(destination_id, scope=Scope.of(principal))
    _tag(response, standing)
    return DestinationOut.of(standing)


@router.patch(
    "/{destination_id}",
    responses={
        200: _ETAG,
        **problems(
            {
                **_CHANGING,
                400: "`bad_request`: the body is no JSON.",
                409: "`no_destination_hosts`",
                422: _URL_PROBLEMS,
            }
        ),
    },
)
async def change_destination(
    request: Request,
    response: Response,
    principal: CurrentPrincipal,
    destination_id: UUID,
    body: DestinationChange,
    if_match: IfMatch = None,
) -> DestinationOut:
    """Change a destination, pause it or resume it. What waits for it is tried again at once."""
    destinations = destinations_of(request, principal)
    seen = _seen(if_match)
    topics = None if body.event_types is None else tuple(body.event_types)
    standing = await destinations.change(
        destination_id,
        Wish(body.name, body.url, topics, body.paused),
        is_current=lambda version: is_current(seen, destination_id, version),
        scope=Scope.of(principal),
    )
    _tag(response, standing)
    return DestinationOut.of(standing)


@router.delete("/{destination_id}", status_code=204, responses=problems(_CHANGING))
async def remove_destination(
    request: Request, principal: CurrentPrincipal, destination_id: UUID, if_match: IfMatch = None
) -> None:
    """Remove a destination. What is on its way to it is not sent any more."""
    destinations = destinations_of(request, principal)
    seen = _seen(if_match)
    await destinations.remove(
        destination_id,
        is_current=lambda version: is_current(seen, destination_id, version),
        scope=Scope.of(principal),
    )


@router.post(
    "/{destination_id}/secret",
    responses={200: _ETAG, **problems({**_CHANGING, 503: "`destinations_unavailable`"})},
)
async def rotate_secret(
    request: Request,
    response: Response,
    principal: CurrentPrincipal,
    destination_id: UUID,
    if_match: IfMatch = None,
) -> DestinationWithSecret:
    """Sign with a new secret from now on. It is shown in this answer alone; the old one signs nothing any more."""
    destinations = destinations_of(request, principal)
    seen = _seen(if_match)
    standing, secret = await destinations.rotate_secret(
        destination_id,
        is_current=lambda version: is_current(seen, destination_id, version),
        scope=Scope.of(principal),
    )
    _tag(response, standing)
    return DestinationWithSecret.telling(standing, secret)


def destinations_of(request: Request, principal: Principal) -> Destinations:
    """What administrators do with destinations.

    Raises:
        Forbidden: the caller is none.
    """
    check_administrator(principal, "Only an administrator of the tenant sees and changes destinations.")
    return container_of(request).destinations


def _seen(if_match: str | None) -> str:
    if if_match is None:
        raise PreconditionRequired(
            code="if_match_required", detail="Say by `If-Match` which state you saw: the destination's `ETag`."
        )
    return if_match


def _tag(response: Response, standing: Standing) -> None:
    response.headers["ETag"] = _tag_of(standing)
    response.headers["Cache-Control"] = "no-store"


def _tag_of(standing: Standing) -> str:
    return tag_of(standing.destination.destination_id, standing.destination.version)


def _fields(standing: Standing) -> dict[str, Any]:
    each = standing.destination
    return {
        "destination_id": each.destination_id,
        "kind": each.kind,
        "name": each.name,
        "url": each.url,
        "event_types": list(each.topics),
        "paused": each.paused is not None,
        "pause_reason": each.paused,
        "failing": each.failures > 0,
        "pending": standing.pending,
        "failed": standing.failed,
        "last_delivered_at": standing.last_delivered_at,
        "created_at": each.created_at,
        "created_by": each.created_by,
        "changed_at": each.changed_at,
        "etag": _tag_of(standing),
    }
