"""A frame of a report's image as values, with what a viewer has to know to show them."""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response

from radrelay_imaging import LONG_SIDE_PX, FrameValues
from radrelay_shared.auth import CurrentPrincipal
from radrelay_shared.database import Scope
from report_service.api.answers import NPY, Known, answer, described
from report_service.api.dependencies import container_of
from report_service.api.images import FrameChoice, SizeChoice
from report_service.domain.frames import FrameRequest
from report_service.handlers import FetchedRendering

router = APIRouter(prefix="/v1/reports/{report_id}", tags=["pictures"])


def _header(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "required": True, "schema": schema}


_HEADERS: Final = {
    "Rescale-Type": _header(
        "What the values are (DICOM PS3.3 section C.11.1.1.2): Hounsfield units, or unspecified.",
        type="string",
        enum=["HU", "US"],
    ),
    "Presentation-LUT-Shape": _header(
        "`INVERSE` where high values are to be dark, else `IDENTITY`.", type="string", enum=["IDENTITY", "INVERSE"]
    ),
    "Window-Center": _header(
        "Of the image's own first window where it has a linear one; else of the window from the frame's least value to "
        "its greatest, or from 0 to 1 for colour.",
        type="number",
    ),
    "Window-Width": _header("Likewise; never 0.", type="number", exclusiveMinimum=0),
    "VOI-LUT-Function": _header(
        "What that window means (DICOM PS3.3 section C.11.2.1.3).", type="string", enum=["LINEAR", "LINEAR_EXACT"]
    ),
    "Frame-Number": _header("The frame that this is, from 1.", type="integer", minimum=1),
    "Number-Of-Frames": _header("How many the image has.", type="integer", minimum=1),
}


@router.get("/frame.npy", response_class=Response, responses=described(NPY, headers=_HEADERS))
async def get_frame(
    request: Request,
    principal: CurrentPrincipal,
    known: Known,
    report_id: UUID,
    frame: FrameChoice = None,
    size: SizeChoice = LONG_SIDE_PX,
) -> Response:
    """A frame as modality values, exactly as large as its pictures: NumPy .npy, (rows, columns) in C order.

    int16 where all values are whole numbers that fit, else float32; luminance from 0 to 1 for colour.
    """
    fetched = await container_of(request).frames.fetch(
        report_id, FrameRequest(frame, size), known=known, scope=Scope.of(principal)
    )
    named = {"Content-Disposition": f'attachment; filename="{report_id}-frame.npy"'}
    if fetched.values is None:
        return answer(FetchedRendering(fetched.etag, None), NPY, named)
    return answer(FetchedRendering(fetched.etag, fetched.values.npy), NPY, named | _said_of(fetched.values))


def _said_of(values: FrameValues) -> dict[str, str]:
    """The values of `_HEADERS`."""
    return {
        "Rescale-Type": "HU" if values.is_hounsfield else "US",
        "Presentation-LUT-Shape": "INVERSE" if values.is_dark_high else "IDENTITY",
        "Window-Center": str(values.window.center),
        "Window-Width": str(values.window.width),
        "VOI-LUT-Function": values.function,
        "Frame-Number": str(values.frame_number),
        "Number-Of-Frames": str(values.number_of_frames),
    }
