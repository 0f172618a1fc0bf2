"""From logits to probabilities that can be read as frequencies."""

import numpy as np
import numpy.typing as npt

from inference_service.bundles.manifest import CalibrationSpec

Float64Array = npt.NDArray[np.float64]


def sigmoid(logits_n: npt.NDArray[np.floating]) -> Float64Array:
    """1 / (1 + exp(-x)) in float64, without overflow for any finite logit."""
    positive = np.exp(-np.abs(logits_n.astype(np.float64)))
    return np.where(logits_n >= 0, 1.0 / (1.0 + positive), positive / (1.0 + positive))


def calibrate(logits_n: npt.NDArray[np.floating], spec: CalibrationSpec) -> Float64Array:
    """Temperature scaling (Guo et al. 2017), then isotonic regression (Zadrozny and Elkan 2002) where it was fitted.

    Args:
        logits_n: finite logits.
        spec: temperature, and the knots of the isotonic map, applied by linear interpolation between them.
    """
    scaled = sigmoid(logits_n.astype(np.float64) / spec.temperature)
    if spec.isotonic is None:
        return scaled
    return np.asarray(np.interp(scaled, spec.isotonic.x, spec.isotonic.y), np.float64)
