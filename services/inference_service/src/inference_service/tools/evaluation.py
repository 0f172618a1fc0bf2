"""How well a bundle's probabilities tell cases apart, and how far they can be read as frequencies."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

from inference_service.bundles.manifest import BundleManifest
from inference_service.engine.calibration import calibrate, sigmoid
from inference_service.tools.cases import Cases
from inference_service.tools.errors import ToolError

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

ECE_BINS = 15
RESAMPLES = 1000
BOOTSTRAP_SEED = 0
_Z_95 = 1.959963984540054
"""The 97.5th percentile of the standard normal distribution."""
_SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95% confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """What happens where a calibrated probability of `threshold` or more is called positive."""

    name: str
    threshold: float
    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far probabilities are from frequencies; less is better."""

    ece: float
    brier: float
    nll: float


@dataclass(frozen=True, slots=True)
class Subgroup:
    """The positive cases of one subgroup."""

    name: str
    positives: int
    sensitivity: Estimate
    """At the threshold `positive`."""


@dataclass(frozen=True, slots=True)
class OverCases:
    """A figure, and how many cases it is of."""

    cases: int
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where the Grad-CAM maps of true positives, at the threshold `positive`, are hot; None where nothing is known."""

    true_positives: int
    hit_rate: OverCases | None
    """Share of maps whose hottest point lies in the lesion grown by one cell (pointing game, Zhang et al. 2018)."""
    heat_inside: OverCases | None
    """Mean share of the heat that lies in the grown lesion."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A bundle on cases with a known answer."""

    cases: int
    positives: int
    auroc: Estimate
    auprc: Estimate
    at_thresholds: tuple[AtThreshold, ...]
    before_calibration: Reliability
    """Of the sigmoid of the logit."""
    after_calibration: Reliability
    subgroups: tuple[Subgroup, ...]
    """By name; empty where the cases name none."""
    explanation: Explanation | None
    """None where the cases say nothing of maps."""


def evaluate_cases(
    manifest: BundleManifest, cases: Cases, *, resamples: int = RESAMPLES, seed: int = BOOTSTRAP_SEED
) -> Evaluation:
    """Evaluate the calibration and thresholds of a bundle on logits of its network.

    AUROC and AUPRC (average precision) are of the calibrated probability, ties included, as reports show it.

    Args:
        manifest: of the bundle.
        cases: that neither the training nor the calibration has seen.
        resamples: of the bootstrap behind the intervals of AUROC, AUPRC and the share of heat.
        seed: of the bootstrap.

    Raises:
        ToolError: the cases do not hold both classes.
    """
    labels_n = cases.labels_n
    positives = int(labels_n.sum())
    if not 0 < positives < len(labels_n):
        raise ToolError(f"{positives} of {len(labels_n)} cases are positive; an evaluation needs both classes")
    probabilities_n = calibrate(cases.logits_n, manifest.calibration)
    called_n = probabilities_n >= manifest.thresholds.positive
    random = np.random.default_rng(seed)
    resampled = _resample(labels_n, resamples, random)
    return Evaluation(
        cases=len(labels_n),
        positives=positives,
        auroc=_bootstrapped(roc_auc_score, labels_n, probabilities_n, resampled),
        auprc=_bootstrapped(average_precision_score, labels_n, probabilities_n, resampled),
        at_thresholds=tuple(
            _at_threshold(name, threshold, labels_n, probabilities_n)
            for name, threshold in manifest.thresholds.model_dump().items()
        ),
        before_calibration=reliability(labels_n, sigmoid(cases.logits_n)),
        after_calibration=reliability(labels_n, probabilities_n),
        subgroups=_subgroups(cases, called_n),
        explanation=_explanation(cases, called_n, resamples, random),
    )


def reliability(labels_n: BoolArray, probabilities_n: Float64Array) -> Reliability:
    """Expected calibration error, Brier score (Brier 1950) and mean negative log likelihood in nats.

    The likelihood counts a probability under 1e-12 as 1e-12, so that one certain mistake does not make it infinite.
    """
    bounded_n = np.clip(probabilities_n, _SMALLEST_PROBABILITY, 1.0 - _SMALLEST_PROBABILITY)
    return Reliability(
        ece=expected_calibration_error(labels_n, probabilities_n),
        brier=float(np.square(probabilities_n - labels_n).mean()),
        nll=float(-np.log(np.where(labels_n, bounded_n, 1.0 - bounded_n)).mean()),
    )


def expected_calibration_error(labels_n: BoolArray, probabilities_n: Float64Array, *, bins: int = ECE_BINS) -> float:
    """Mean distance between probability and frequency over bins of equal mass (Nguyen and O'Connor 2015).

    Cases are sorted by probability and cut into `bins` parts that differ in size by one case at most. The error is
    sum_b (n_b / n) |mean probability in b - share of positives in b|. The order of cases of equal probability is that
    of the input. Even perfect probabilities give about 0.8 sqrt(p (1 - p) bins / n) by chance.
    """
    error = 0.0
    for part in equal_mass_bins(probabilities_n, bins):
        error += abs(float((probabilities_n[part] - labels_n[part]).sum()))
    return error / len(labels_n)


def equal_mass_bins(probabilities_n: Float64Array, bins: int) -> list[npt.NDArray[np.intp]]:
    """Indices of the cases of each bin, by rising probability; with fewer cases than bins, one bin a case."""
    order_n = np.argsort(probabilities_n, kind="stable")
    return [part for part in np.array_split(order_n, bins) if len(part)]


def wilson_interval(successes: int, trials: int) -> Estimate:
    """A proportion and its 95% score interval (Wilson 1927).

    Args:
        successes: among `trials`.
        trials: one or more.
    """
    share = successes / trials
    shrink = 1.0 + _Z_95**2 / trials
    centre = (share + _Z_95**2 / (2 * trials)) / shrink
    half = _Z_95 * math.sqrt(share * (1 - share) / trials + _Z_95**2 / (4 * trials**2)) / shrink
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half))


def _at_threshold(name: str, threshold: float, labels_n: BoolArray, probabilities_n: Float64Array) -> AtThreshold:
    called_n = probabilities_n >= threshold
    return AtThreshold(
        name,
        threshold,
        sensitivity=wilson_interval(int(called_n[labels_n].sum()), int(labels_n.sum())),
        specificity=wilson_interval(int((~called_n[~labels_n]).sum()), int((~labels_n).sum())),
    )


def _subgroups(cases: Cases, called_n: BoolArray) -> tuple[Subgroup, ...]:
    if cases.groups_n is None:
        return ()
    found = []
    for name in sorted(set(cases.groups_n[cases.labels_n].tolist())):
        members_n = cases.labels_n & (cases.groups_n == name)
        positives = int(members_n.sum())
        found.append(Subgroup(name, positives, wilson_interval(int((called_n & members_n).sum()), positives)))
    return tuple(found)


def _explanation(cases: Cases, called_n: BoolArray, resamples: int, random: np.random.Generator) -> Explanation | None:
    if cases.heat_hits_n is None and cases.heat_inside_n is None:
        return None
    true_positives_n = cases.labels_n & called_n
    hits, inside = (
        np.empty(0) if values_n is None else values_n[true_positives_n & ~np.isnan(values_n)]
        for values_n in (cases.heat_hits_n, cases.heat_inside_n)
    )
    return Explanation(
        true_positives=int(true_positives_n.sum()),
        hit_rate=OverCases(len(hits), wilson_interval(int(hits.sum()), len(hits))) if len(hits) else None,
        heat_inside=OverCases(len(inside), _mean(inside, resamples, random)) if len(inside) else None,
    )


def _mean(values_n: Float64Array, resamples: int, random: np.random.Generator) -> Estimate:
    """The mean and its bootstrap percentile interval (Efron 1979)."""
    means = [float(random.choice(values_n, len(values_n)).mean()) for _ in range(resamples)]
    low, high = np.percentile(means, (2.5, 97.5))
    return Estimate(float(values_n.mean()), float(low), float(high))


def _resample(labels_n: BoolArray, resamples: int, random: np.random.Generator) -> list[npt.NDArray[np.intp]]:
    """Indices of bootstrap samples, drawn from each class by itself, so that every sample has both."""
    classes = (np.flatnonzero(labels_n), np.flatnonzero(~labels_n))
    return [np.concatenate([random.choice(members, len(members)) for members in classes]) for _ in range(resamples)]


def _bootstrapped(
    metric: Callable[[BoolArray, Float64Array], float],
    labels_n: BoolArray,
    probabilities_n: Float64Array,
    resampled: list[npt.NDArray[np.intp]],
) -> Estimate:
    """The figure and the 2.5th and 97.5th percentile of it over the samples (Efron 1979)."""
    values = [metric(labels_n[sample], probabilities_n[sample]) for sample in resampled]
    low, high = np.percentile(values, (2.5, 97.5))
    return Estimate(float(metric(labels_n, probabilities_n)), float(low), float(high))
