"""The routes under /v1."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response

from radrelay_shared.auth import CurrentPrincipal
from radrelay_shared.database import Scope
from radrelay_shared.events import Urgency
from report_service import handlers
from report_service.api import cursor as cursors
from report_service.api.schemas import ReportPage, ReportView
from report_service.bootstrap import Container
from report_service.domain.report import Rendering
from report_service.domain.worklist import WorklistQuery

MAX_PAGE = 200

router = APIRouter(prefix="/v1/reports", tags=["reports"])

_PNG = "image/png"
_NPY = "application/octet-stream"  # NumPy's format has no registered media type
_DICOM = "application/dicom"
_DOWNLOADS = {Rendering.HEATMAP: (_NPY, "npy"), Rendering.SOURCE: (_DICOM, "dcm")}


def _responses(media_type: str) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of a route that answers bytes."""
    return {200: {"content": {media_type: {}}}, 304: {"description": "You hold these bytes already."}}


@router.get("")
async def list_reports(
    request: Request,
    principal: CurrentPrincipal,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    cursor: Annotated[str | None, Query(max_length=512)] = None,
    batch_id: UUID | None = None,
    urgency: Urgency | None = None,
) -> ReportPage:
    """Your reports (a tenant administrator: the tenant's), most urgent first, then the longest waiting first."""
    after = None if cursor is None else cursors.decode(cursor)
    page = await handlers.list_reports(
        WorklistQuery(limit=limit, after=after, batch_id=batch_id, urgency=urgency),
        scope=Scope.of(principal),
        reports=_container(request).reports,
    )
    return ReportPage.of(page)


@router.get("/{report_id}")
async def get_report(request: Request, principal: CurrentPrincipal, report_id: UUID) -> ReportView:
    """One report."""
    return ReportView.of(
        await handlers.get_report(report_id, scope=Scope.of(principal), reports=_container(request).reports)
    )


@router.get("/{report_id}/image", response_class=Response, responses=_responses(_PNG))
async def get_image(
    request: Request,
    principal: CurrentPrincipal,
    report_id: UUID,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The image as the model's window shows it: 8-bit PNG."""
    return await _rendering(request, Scope.of(principal), report_id, Rendering.IMAGE, if_none_match)


@router.get("/{report_id}/overlay", response_class=Response, responses=_responses(_PNG))
async def get_overlay(
    request: Request,
    principal: CurrentPrincipal,
    report_id: UUID,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The heatmap as a transparent PNG the size of the image, to lay over it."""
    return await _rendering(request, Scope.of(principal), report_id, Rendering.OVERLAY, if_none_match)


@router.get("/{report_id}/heatmap", response_class=Response, responses=_responses(_NPY))
async def get_heatmap(
    request: Request,
    principal: CurrentPrincipal,
    report_id: UUID,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The raw Grad-CAM map: NumPy .npy, float32 (rows, columns), at feature-map resolution."""
    return await _rendering(request, Scope.of(principal), report_id, Rendering.HEATMAP, if_none_match)


@router.get("/{report_id}/source", response_class=Response, responses=_responses(_DICOM))
async def get_source(
    request: Request,
    principal: CurrentPrincipal,
    report_id: UUID,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The DICOM file that was screened."""
    return await _rendering(request, Scope.of(principal), report_id, Rendering.SOURCE, if_none_match)


async def _rendering(
    request: Request, scope: Scope, report_id: UUID, rendering: Rendering, if_none_match: str | None
) -> Response:
    container = _container(request)
    fetched = await handlers.fetch_rendering(
        report_id,
        rendering,
        known=lambda etag: _matches(etag, if_none_match),
        scope=scope,
        reports=container.reports,
        objects=container.objects,
    )
    headers = {
        "ETag": f'"{fetched.etag}"',
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization",
        "X-Content-Type-Options": "nosniff",
    }
    if fetched.body is None:
        return Response(status_code=304, headers=headers)
    media_type, suffix = _DOWNLOADS.get(rendering, (_PNG, None))
    if suffix is not None:
        headers["Content-Disposition"] = f'attachment; filename="{report_id}.{suffix}"'
    return Response(fetched.body, media_type=media_type, headers=headers)


def _matches(etag: str, if_none_match: str | None) -> bool:
    """Weak comparison of a tag with an If-None-Match field (RFC 9110, section 13.1.2)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags


def _container(request: Request) -> Container:
    container = request.state.container
    if not isinstance(container, Container):
        raise TypeError("the lifespan yields the report service's container")
    return container
