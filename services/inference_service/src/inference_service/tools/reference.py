"""What held-out images look like to a bundle, as the histograms that drift is told from."""

import numpy as np
import numpy.typing as npt

from inference_service.bundles.manifest import MAX_LEVEL, BundleManifest, Histogram, Reference
from inference_service.engine.calibration import calibrate
from inference_service.tools.cases import Cases
from inference_service.tools.errors import ToolError

Float64Array = npt.NDArray[np.float64]

MIN_CASES = 100
"""With fewer, a bin of a tenth of them holds too few cases to compare anything with."""
_BINS = 10
_EDGE_DECIMALS = 3
"""A thousandth of a level is far below what one image differs from the next."""


def make_reference(manifest: BundleManifest, cases: Cases) -> Reference:
    """Histograms of the calibrated probability, in ten equal bins, and of the level of each channel, at its deciles.

    Deciles that are equal give one edge, so a channel of few distinct levels has fewer bins.

    Args:
        manifest: of the bundle whose network gave the logits.
        cases: of the intended use, in the mix in which they come; without levels, only the probability is described.

    Raises:
        ToolError: too few cases, or levels of another number of channels than the bundle's.
    """
    count = len(cases.labels_n)
    if count < MIN_CASES:
        raise ToolError(f"{count} cases are too few for a reference; {MIN_CASES} are needed")
    edges = np.linspace(0.0, 1.0, _BINS + 1).round(1)
    probability = _histogram(calibrate(cases.logits_n, manifest.calibration), edges)
    if cases.levels_nc is None:
        return Reference(cases=count, probability=probability)
    channels = manifest.image.channels.count
    if cases.levels_nc.shape[1] != channels:
        raise ToolError(f"the cases have levels of {cases.levels_nc.shape[1]} channels; the bundle takes {channels}")
    levels = tuple(_histogram(levels_n, _decile_edges(levels_n)) for levels_n in cases.levels_nc.T)
    return Reference(cases=count, probability=probability, levels=levels)


def _decile_edges(levels_n: Float64Array) -> Float64Array:
    """0, the inner deciles, and 255, so that every later image falls in a bin."""
    inner = np.quantile(levels_n, np.arange(1, _BINS) / _BINS).round(_EDGE_DECIMALS)
    return np.unique(np.concatenate([[0.0], inner, [MAX_LEVEL]]))


def _histogram(values_n: Float64Array, edges: Float64Array) -> Histogram:
    counts, _ = np.histogram(values_n, edges)
    return Histogram(edges=tuple(edges.tolist()), shares=tuple((counts / len(values_n)).tolist()))
