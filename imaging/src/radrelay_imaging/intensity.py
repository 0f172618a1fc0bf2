"""From modality values to display levels: CT windows, VOI LUTs and windows, and what to do without either."""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_voi

from radrelay_imaging.pixels import Float32Array, is_monochrome
from radrelay_imaging.refusal import Refusal, RefusalReason

_FALLBACK_PERCENTILES: Final = (1.0, 99.0)


def check_hounsfield(view: Dataset) -> None:
    """Make sure that rescaled values are Hounsfield units (PS3.3 sections C.8.2.1 and C.11.1.1.2).

    Raises:
        Refusal: unsupported_photometric, not_hounsfield.
    """
    if not is_monochrome(view):
        raise Refusal(RefusalReason.UNSUPPORTED_PHOTOMETRIC, "A CT image has to be monochrome.")
    if view.get("RescaleSlope") is None or view.get("RescaleIntercept") is None:
        raise Refusal(RefusalReason.NOT_HOUNSFIELD, "Rescale Slope or Rescale Intercept is missing.")
    if str(view.get("RescaleType") or "HU").strip().upper() != "HU":
        raise Refusal(RefusalReason.NOT_HOUNSFIELD, "Rescale Type is not HU.")


def is_hounsfield(dataset: Dataset, view: Dataset) -> bool:
    """Whether a frame's rescaled values are Hounsfield units: those of a CT image that says nothing else are."""
    try:
        check_hounsfield(view)
    except Refusal:
        return False
    return str(dataset.get("Modality")) == "CT"


@dataclass(frozen=True, slots=True)
class Window:
    """A window on modality values: `center` is shown mid-grey, `width` spans black to white."""

    center: float
    width: float
    """Above 0."""


class VoiFunction(StrEnum):
    """What a window that an image asks for itself means (VOI LUT Function, PS3.3 section C.11.2.1.3)."""

    LINEAR = "LINEAR"
    """Of whole numbers: its middle lies half a one lower than it says, and it is one narrower."""
    LINEAR_EXACT = "LINEAR_EXACT"
    """As it says, and as a `Window` is meant elsewhere."""
    SIGMOID = "SIGMOID"


def apply_window(values_yx: Float32Array, window: Window) -> npt.NDArray[np.uint8]:
    """Modality values to 0..255 by LINEAR_EXACT (PS3.3 section C.11.2.1.3.2).

    A window on measured values, such as Hounsfield units, says what a value means, not how a screen shows it, so
    MONOCHROME1 changes nothing.
    """
    return to_uint8((values_yx - np.float32(window.center)) / np.float32(window.width) + np.float32(0.5))


def apply_own_voi(values_yx: Float32Array, view: Dataset) -> Float32Array:
    """Modality values to 0..1 as the image itself asks to be shown.

    Its first VOI LUT, else its first window, else the range between its 1st and 99th percentile without pixel padding.
    MONOCHROME1 is turned over, so that 1 is always bright (PS3.3 section C.7.6.3.1.2).
    """
    if view.get("VOILUTSequence"):
        levels = _by_lut(values_yx, view)
    else:
        own = own_window(view)
        levels = _by_percentiles(values_yx, view) if own is None else _by_window(values_yx, *own)
    if view.get("PhotometricInterpretation") == "MONOCHROME1":
        levels = np.float32(1.0) - levels
    return levels


def own_window(view: Dataset) -> tuple[Window, VoiFunction] | None:
    """The first window that the image asks for itself, as PS3.3 section C.11.2.1.2 allows it, or None."""
    center, width = (_first_number(view.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    function = str(view.get("VOILUTFunction") or VoiFunction.LINEAR).strip().upper()
    if center is None or width is None or function not in VoiFunction.__members__:
        return None
    least_width = 1.0 if function == VoiFunction.LINEAR else 0.0
    return (Window(center, width), VoiFunction(function)) if width > least_width else None


def to_uint8(levels_yx: Float32Array) -> npt.NDArray[np.uint8]:
    """0..1 to 0..255, clipped, rounded to the nearest."""
    return np.asarray(np.rint(np.clip(levels_yx, 0.0, 1.0) * 255.0), np.uint8)


def _by_lut(values_yx: Float32Array, view: Dataset) -> Float32Array:
    bits = int(view.VOILUTSequence[0].LUTDescriptor[2])
    looked_up = apply_voi(np.rint(values_yx).astype(np.int32), view)
    return looked_up.astype(np.float32) / np.float32(2**bits - 1)


def _first_number(value: object) -> float | None:
    first = value[0] if isinstance(value, MultiValue) and len(value) else value
    try:
        number = float(first)  # type: ignore[arg-type]  # whatever the file holds; not a number is caught
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def _by_window(values_yx: Float32Array, window: Window, function: VoiFunction) -> Float32Array:
    is_shifted = function is VoiFunction.LINEAR
    center, width = (window.center - 0.5, window.width - 1.0) if is_shifted else (window.center, window.width)
    scaled: Float32Array = (values_yx - np.float32(center)) / np.float32(width)
    if function is VoiFunction.SIGMOID:
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * scaled, -80.0, 80.0))), np.float32)
    return scaled + np.float32(0.5)


def _by_percentiles(values_yx: Float32Array, view: Dataset) -> Float32Array:
    kept = values_yx
    padding = _first_number(view.get("PixelPaddingValue"))
    if padding is not None and view.get("RescaleSlope") is None:
        kept = values_yx[values_yx != np.float32(padding)]
    if kept.size == 0:
        return np.zeros_like(values_yx)
    low, high = np.percentile(kept, _FALLBACK_PERCENTILES)
    return np.asarray((values_yx - np.float32(low)) / np.float32(max(high - low, 1e-6)), np.float32)
