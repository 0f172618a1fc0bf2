"""The shape of a pixel in the patient."""

from collections.abc import Iterable
from math import isfinite
from typing import Final

from pydicom import Dataset

_MAX_ASPECT: Final = 20.0
_SPACING_KEYWORDS: Final = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")


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
