"""Links to pictures that work without a token, as in an <img>."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from radrelay_imaging import LONG_SIDE_PX, ColourMap
from radrelay_shared.auth import CurrentPrincipal, Principal, Role
from radrelay_shared.database import Scope
from radrelay_shared.http import NotFound, RateLimiter, problems
from report_service.api.answers import NO_RENDERING, PNG, Known, answer, described
from report_service.api.dependencies import container_of
from report_service.api.images import WINDOW
from report_service.domain.pictures import (
    DEFAULT_OPACITY,
    LEAST_SIZE_PX,
    MODEL_WINDOW,
    MOST_FRAMES,
    MOST_SIZE_PX,
    WINDOW_PATTERN,
    PictureKind,
    PictureRequest,
)
from report_service.links import LinkGrant

router = APIRouter(prefix="/v1/reports/{report_id}/links", tags=["pictures"])

_BY_LINK = "by_link"


class WantedLink(BaseModel):
    """Which picture the link shows, by the parameters of its route."""

    picture: PictureKind
    window: str = Field(default=MODEL_WINDOW, pattern=WINDOW_PATTERN, description=WINDOW)
    frame: int | None = Field(default=None, ge=1, le=MOST_FRAMES)
    size: int = Field(default=LONG_SIDE_PX, ge=LEAST_SIZE_PX, le=MOST_SIZE_PX)
    opacity: float = Field(default=DEFAULT_OPACITY, ge=0.0, le=1.0)
    colour_map: ColourMap = ColourMap.INFERNO

    def request(self) -> PictureRequest:
        """The picture that is meant."""
        return PictureRequest(
            self.picture,
            window=self.window,
            frame=self.frame,
            size_px=self.size,
            opacity=round(self.opacity, 2),
            colour_map=self.colour_map,
        )


class LinkView(BaseModel):
    """A link: whoever has it sees the picture until it ends."""

    path: str = Field(description="Relative to the address of this API; it needs no token.")
    expires_at: datetime


@router.post("", responses=problems({404: "`report_not_found`", 503: "`links_unavailable`: no key is set."}))
async def make_link(
    request: Request, principal: CurrentPrincipal, report_id: UUID, wanted: Annotated[WantedLink, Query()]
) -> LinkView:
    """A link to one picture of the report, for minutes; reads through it are recorded as yours."""
    links = container_of(request).links
    signed, expires_at = await links.make(report_id, wanted.request(), scope=Scope.of(principal))
    return LinkView(path=f"v1/reports/{report_id}/links/{signed}", expires_at=expires_at)


@router.get(
    "/{link}",
    response_class=Response,
    responses={**described(PNG, missing=f"`link_not_found`, {NO_RENDERING}"), **problems({429: "`rate_limited`"})},
)
async def follow_link(
    request: Request,
    known: Known,
    report_id: UUID,
    link: Annotated[str, Path(max_length=2048)],
) -> Response:
    """The picture that the link shows; no token is needed."""
    grant = await _admitted(request, report_id, link)
    fetched = await container_of(request).pictures.fetch(
        report_id,
        grant.picture,
        known=known,
        scope=grant.scope,
        reason=_BY_LINK,
    )
    left_s = max(0, int((grant.expires_at - datetime.now(UTC)).total_seconds()))
    return answer(fetched, PNG, {"Cache-Control": f"private, max-age={left_s}", "Referrer-Policy": "no-referrer"})


async def _admitted(request: Request, report_id: UUID, link: str) -> LinkGrant:
    """The grant, within the limits of the one who asked for it, who is the caller from here on.

    Raises:
        NotFound: it grants nothing.
        TooManyRequests: this client address, or whoever asked for the link, has to wait.
    """
    limiter: RateLimiter = request.state.rate_limiter
    await limiter.check_address(request)
    try:
        grant = container_of(request).links.read(report_id, link)
    except NotFound:
        await limiter.count_failure(request)
        raise
    scope = grant.scope
    role = Role.TENANT_ADMIN if scope.role == "tenant_admin" else Role.CLINICIAN
    request.state.principal = Principal(scope.tenant, scope.owner_id, frozenset({role}))
    await limiter.admit(request, scope.tenant, scope.owner_id)
    return grant
