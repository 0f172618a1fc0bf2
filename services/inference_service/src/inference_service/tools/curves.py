"""What the figures of a model card show, as numbers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_curve

from inference_service.bundles.manifest import BundleManifest
from inference_service.engine.calibration import calibrate, sigmoid
from inference_service.tools.cases import Cases
from inference_service.tools.evaluation import ECE_BINS, Estimate, equal_mass_bins, wilson_interval

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

HISTOGRAM_BINS = 20


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Cases of neighbouring probabilities."""

    cases: int
    positives: int
    probability: float
    """Their mean."""
    frequency: Estimate
    """Share of positives among them, with Wilson's interval."""


@dataclass(frozen=True, slots=True)
class Curves:
    """One evaluation, as what its figures draw."""

    before_calibration: tuple[ReliabilityBin, ...]
    """Of the sigmoid of the logit."""
    after_calibration: tuple[ReliabilityBin, ...]
    false_positive_rates_t: Float64Array
    """Rising, one for each threshold of the ROC curve."""
    true_positive_rates_t: Float64Array
    edges: Float64Array
    """Of the histograms of the calibrated probability."""
    positive_counts: npt.NDArray[np.intp]
    negative_counts: npt.NDArray[np.intp]


def trace_curves(manifest: BundleManifest, cases: Cases) -> Curves:
    """Reliability before and after calibration, ROC, and the spread of the calibrated probability.

    Args:
        manifest: of the bundle whose network gave the logits.
        cases: of both classes.
    """
    labels_n = cases.labels_n
    probabilities_n = calibrate(cases.logits_n, manifest.calibration)
    false_positive_rates_t, true_positive_rates_t, _ = roc_curve(labels_n, probabilities_n)
    edges = np.linspace(0.0, 1.0, HISTOGRAM_BINS + 1)
    return Curves(
        before_calibration=reliability_bins(labels_n, sigmoid(cases.logits_n)),
        after_calibration=reliability_bins(labels_n, probabilities_n),
        false_positive_rates_t=false_positive_rates_t,
        true_positive_rates_t=true_positive_rates_t,
        edges=edges,
        positive_counts=np.histogram(probabilities_n[labels_n], edges)[0],
        negative_counts=np.histogram(probabilities_n[~labels_n], edges)[0],
    )


def reliability_bins(labels_n: BoolArray, probabilities_n: Float64Array) -> tuple[ReliabilityBin, ...]:
    """The bins of equal mass behind the expected calibration error, by rising probability."""
    return tuple(
        ReliabilityBin(
            cases=len(part),
            positives=int(labels_n[part].sum()),
            probability=float(probabilities_n[part].mean()),
            frequency=wilson_interval(int(labels_n[part].sum()), len(part)),
        )
        for part in equal_mass_bins(probabilities_n, ECE_BINS)
    )
