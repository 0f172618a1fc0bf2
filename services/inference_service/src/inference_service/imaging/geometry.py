"""Where the image lies in the model's square input, with the shape that it has in the patient."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Final

from pydicom import Dataset

PREVIEW_LONG_SIDE_PX: Final = 1024
_MAX_ASPECT: Final = 20.0
_SPACING_KEYWORDS: Final = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")


@dataclass(frozen=True, slots=True)
class Placement:
    """The box, in input pixels, that the whole source image fills; the rest of the square is padding."""

    rows: int
    columns: int
    input_px: int
    top: int
    left: int
    height: int
    width: int

    @property
    def preview_size(self) -> tuple[int, int]:
        """(rows, columns) of preview and overlay: the source's pixel frame, long side at most 1024, never enlarged."""
        scale = min(1.0, PREVIEW_LONG_SIDE_PX / max(self.rows, self.columns))
        return max(1, round(self.rows * scale)), max(1, round(self.columns * scale))


def place(rows: int, columns: int, *, pixel_aspect: float, input_px: int) -> Placement:
    """Fit an image into a square, centred, keeping its physical shape.

    Args:
        rows: of the source.
        columns: of the source.
        pixel_aspect: height of a source pixel divided by its width.
        input_px: side of the square.
    """
    height_units = rows * pixel_aspect
    scale = input_px / max(height_units, columns)
    height = min(input_px, max(1, round(height_units * scale)))
    width = min(input_px, max(1, round(columns * scale)))
    return Placement(
        rows, columns, input_px, top=(input_px - height) // 2, left=(input_px - width) // 2, height=height, width=width
    )


def pixel_aspect(frame: Dataset) -> float:
    """Height of a pixel divided by its width.

    Taken from the first usable of Pixel Spacing, Imager Pixel Spacing, Nominal Scanned Pixel Spacing (all row spacing
    then column spacing in mm, PS3.3 section 10.7.1.3) and Pixel Aspect Ratio (vertical then horizontal, PS3.3 section
    C.7.6.3.1.7). Where none is there or none makes sense, pixels are taken as square, which that section states for
    an absent ratio; no spacing is made up.
    """
    for keyword in _SPACING_KEYWORDS:
        pair = _positive_pair(frame.get(keyword))
        if pair is not None and 1 / _MAX_ASPECT <= pair[0] / pair[1] <= _MAX_ASPECT:
            return pair[0] / pair[1]
    return 1.0


def _positive_pair(value: object) -> tuple[float, float] | None:
    if isinstance(value, str) or not isinstance(value, Iterable):
        return None
    try:
        first, second = (float(part) for part in value)
    except (TypeError, ValueError):
        return None
    return (first, second) if isfinite(first) and isfinite(second) and first > 0 and second > 0 else None
