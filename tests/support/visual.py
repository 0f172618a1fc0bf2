"""Visual reports for tests to look at."""

from datetime import timedelta
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pypdfium2
from PIL import Image

from radrelay_imaging import WINDOWS_HU, ColourMap, NamedWindow, blend_heatmap, draw_image
from radrelay_phantoms import HaemorrhageKind, generate_slice
from radrelay_phantoms.dicom import write_dicom
from radrelay_shared.events import Picture, ValueWindow
from report_service.domain.pictures import DEFAULT_OPACITY, PictureKind
from report_service.domain.report import Report, report_from_result
from report_service.domain.visual import Figure, ShownReview, VisualReport, alt_of, caption_of, visual_report
from support.events import RECEIVED_AT, inference_completed

SEED: Final = 4_000_001
"""Of a head that no bundle was trained, calibrated or evaluated on."""
_DOTS_PER_POINT: Final = 1.6


def head_dicom(seed: int = SEED) -> bytes:
    """A synthetic head with a haemorrhage in the brain, as a DICOM file."""
    file = BytesIO()
    write_dicom(generate_slice(seed, haemorrhage=HaemorrhageKind.INTRAPARENCHYMAL, difficulty=0.3), file)
    return file.getvalue()


def visual(
    report: Report, content: bytes, heat_yx: npt.NDArray[np.float32], review: ShownReview | None = None
) -> VisualReport:
    """What the pages say of a report of this CT image in the brain window."""
    image = draw_image(content, frame_number=1, window=WINDOWS_HU[NamedWindow.BRAIN], in_hounsfield=True)
    overlay = blend_heatmap(image, heat_yx, opacity=DEFAULT_OPACITY, colour_map=ColourMap.INFERNO)
    pictures = {PictureKind.IMAGE: image, PictureKind.OVERLAY: overlay}
    figures = [
        Figure(kind.value, caption_of(kind, report), alt_of(kind, report), png) for kind, png in pictures.items()
    ]
    return visual_report(report, tuple(figures), review)


def heat_of(report: Report) -> npt.NDArray[np.float32]:
    """The report's map."""
    assert report.heatmap_npy is not None
    heat_yx: npt.NDArray[np.float32] = np.load(BytesIO(report.heatmap_npy), allow_pickle=False)
    return heat_yx


def a_report(**changes: Any) -> Report:
    """A report whose evidence is strongest in the lower centre."""
    window = ValueWindow(center=40.0, width=80.0)
    result = inference_completed(**{"picture": Picture(rows=512, columns=512, window=window)} | changes)
    return report_from_result(result.tenant, result.data, created_at=RECEIVED_AT + timedelta(seconds=3))


def pages_of(pdf: bytes) -> list[Image.Image]:
    """The pages of a PDF as RGB pictures."""
    with pypdfium2.PdfDocument(pdf) as document:
        return [page.render(scale=_DOTS_PER_POINT).to_pil().convert("RGB") for page in document]
