"""Pictures of a report, its raw map and its DICOM file."""

from collections.abc import Callable
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from radrelay_imaging import LONG_SIDE_PX, ColourMap
from radrelay_shared.auth import CurrentPrincipal
from radrelay_shared.database import Scope
from report_service import handlers
from report_service.api.answers import NPY, PNG, Known, answer, described
from report_service.api.dependencies import container_of
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
from report_service.domain.report import Download

router = APIRouter(prefix="/v1/reports/{report_id}", tags=["pictures"])

_DICOM: Final = "application/dicom"

WINDOW: Final = (
    "`model` as the model saw the image, `own` as the image asks to be shown, a window in Hounsfield units by its "
    "name, or `center,width` on the image's own values, such as `40,80`."
)
WindowChoice = Annotated[str, Query(pattern=WINDOW_PATTERN, description=WINDOW)]
FrameChoice = Annotated[
    int | None, Query(ge=1, le=MOST_FRAMES, description="From 1; the one that the result is of where it is left out.")
]
SizeChoice = Annotated[
    int,
    Query(ge=LEAST_SIZE_PX, le=MOST_SIZE_PX, description="Pixels of the long side at most; nothing is enlarged."),
]
OpacityChoice = Annotated[float, Query(ge=0.0, le=1.0, description="Of the heat where it is strongest.")]


@router.get("/image", response_class=Response, responses=described(PNG))
async def get_image(
    request: Request,
    principal: CurrentPrincipal,
    known: Known,
    report_id: UUID,
    window: WindowChoice = MODEL_WINDOW,
    frame: FrameChoice = None,
    size: SizeChoice = LONG_SIDE_PX,
) -> Response:
    """The image in a window: 8-bit greyscale PNG."""
    chosen = PictureRequest(PictureKind.IMAGE, window=window, frame=frame, size_px=size)
    return await _picture(request, Scope.of(principal), report_id, chosen, known)


@router.get("/heatmap", response_class=Response, responses=described(PNG))
async def get_heatmap(
    request: Request,
    principal: CurrentPrincipal,
    known: Known,
    report_id: UUID,
    colour_map: ColourMap = ColourMap.INFERNO,
    size: SizeChoice = LONG_SIDE_PX,
) -> Response:
    """The Grad-CAM map alone, over exactly the image: RGB PNG, scaled to its own maximum."""
    chosen = PictureRequest(PictureKind.HEATMAP, size_px=size, colour_map=colour_map)
    return await _picture(request, Scope.of(principal), report_id, chosen, known)


@router.get("/overlay", response_class=Response, responses=described(PNG))
async def get_overlay(
    request: Request,
    principal: CurrentPrincipal,
    known: Known,
    report_id: UUID,
    window: WindowChoice = MODEL_WINDOW,
    opacity: OpacityChoice = DEFAULT_OPACITY,
    colour_map: ColourMap = ColourMap.INFERNO,
    size: SizeChoice = LONG_SIDE_PX,
) -> Response:
    """The image with the heat over it, opaque in proportion to the evidence: RGB PNG."""
    chosen = PictureRequest(
        PictureKind.OVERLAY, window=window, size_px=size, opacity=round(opacity, 2), colour_map=colour_map
    )
    return await _picture(request, Scope.of(principal), report_id, chosen, known)


@router.get("/heatmap.npy", response_class=Response, responses=described(NPY))
async def get_raw_heatmap(request: Request, principal: CurrentPrincipal, known: Known, report_id: UUID) -> Response:
    """The raw Grad-CAM map: NumPy .npy, float32 (rows, columns), at feature-map resolution."""
    return await _download(request, Scope.of(principal), report_id, Download.HEATMAP, known)


@router.get("/source", response_class=Response, responses=described(_DICOM))
async def get_source(request: Request, principal: CurrentPrincipal, known: Known, report_id: UUID) -> Response:
    """The DICOM file that was screened."""
    return await _download(request, Scope.of(principal), report_id, Download.SOURCE, known)


async def _picture(
    request: Request, scope: Scope, report_id: UUID, chosen: PictureRequest, known: Callable[[str], bool]
) -> Response:
    return answer(await container_of(request).pictures.fetch(report_id, chosen, known=known, scope=scope), PNG)


async def _download(
    request: Request, scope: Scope, report_id: UUID, download: Download, known: Callable[[str], bool]
) -> Response:
    container = container_of(request)
    fetched = await handlers.fetch_download(
        report_id,
        download,
        known=known,
        scope=scope,
        reports=container.reports,
        reads=container.reads,
        objects=container.objects,
    )
    media_type, suffix = (NPY, "npy") if download is Download.HEATMAP else (_DICOM, "dcm")
    return answer(fetched, media_type, {"Content-Disposition": f'attachment; filename="{report_id}.{suffix}"'})
