"""Fitting a calibration to logits and labels of a validation split."""

import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression

from inference_service.bundles.manifest import CalibrationSpec, IsotonicKnots
from inference_service.engine.calibration import sigmoid
from inference_service.tools.cases import Cases
from inference_service.tools.errors import ToolError

Float64Array = npt.NDArray[np.float64]

MIN_CASES = 100
MIN_CASES_A_CLASS = 20
"""With fewer, the steps of the isotonic map would be noise."""
_MAX_GROUPS = 20
_CASES_A_GROUP = 20
_TEMPERATURES = (0.05, 20.0)
"""Classes that do not overlap have no best temperature, only ever lower ones: the lower bound ends that."""
_MIN_STEP = 1e-6
"""Knots nearer than this in probability are one."""


def fit_calibration(cases: Cases) -> CalibrationSpec:
    """Temperature scaling, then isotonic regression of the scaled probability.

    Raises:
        ToolError: too few cases, too few of one class, or logits that do not rise with the label.
    """
    positives = int(cases.labels_n.sum())
    negatives = len(cases.labels_n) - positives
    if positives + negatives < MIN_CASES:
        raise ToolError(f"{positives + negatives} cases are too few to calibrate with; {MIN_CASES} are needed")
    if min(positives, negatives) < MIN_CASES_A_CLASS:
        raise ToolError(
            f"{positives} positive and {negatives} negative cases are too few to calibrate with; "
            f"{MIN_CASES_A_CLASS} of each are needed"
        )
    temperature = fit_temperature(cases)
    scaled_n = sigmoid(cases.logits_n / temperature)
    return CalibrationSpec(temperature=temperature, isotonic=fit_isotonic(scaled_n, cases.labels_n))


def fit_temperature(cases: Cases) -> float:
    """The temperature of least negative log likelihood, by L-BFGS on its logarithm (Guo et al. 2017).

    Raises:
        ToolError: the likelihood only grows with the temperature, as where logits say nothing of the label.
    """
    signs_n = np.where(cases.labels_n, 1.0, -1.0)

    def loss_and_slope(log_temperature: Float64Array) -> tuple[float, Float64Array]:
        margins_n = signs_n * cases.logits_n * math.exp(-log_temperature[0])
        return float(np.logaddexp(0.0, -margins_n).mean()), np.array([float((margins_n * sigmoid(-margins_n)).mean())])

    low, high = (math.log(bound) for bound in _TEMPERATURES)
    found = minimize(loss_and_slope, np.zeros(1), jac=True, method="L-BFGS-B", bounds=[(low, high)])
    log_temperature = float(found.x[0])
    if log_temperature >= high:
        raise ToolError("the logits do not rise with the label: there is nothing to calibrate")
    return math.exp(log_temperature)


def fit_isotonic(probabilities_n: Float64Array, labels_n: npt.NDArray[np.bool_]) -> IsotonicKnots:
    """Isotonic regression (Zadrozny and Elkan 2002) with few knots, rising strictly in both directions.

    Cases are first pooled in up to 20 groups of equal mass, each of 20 cases or more, so that single cases make no
    steps. Each level of the regression becomes one knot at the mean of its cases, as in centred isotonic regression
    (Oron and Flournoy 2017), and the map is anchored at (0, 0) and (1, 1): it never ties cases that the model ranks.
    A first or last level without any case of one class gets half a case of it, for no frequency seen in n cases shows
    a probability of 0 or 1.

    Args:
        probabilities_n: in 0 to 1.
        labels_n: True where the finding is present; both classes occur.
    """
    x_g, rates_g, weights_g = _pool(probabilities_n, labels_n)
    rising_g = IsotonicRegression().fit(x_g, rates_g, sample_weight=weights_g).predict(x_g)
    x_k, y_k, weights_k = _levels(x_g, rising_g, weights_g)
    if y_k[0] <= 0.0:
        next_level = y_k[1] if len(y_k) > 1 else 1.0
        y_k[0] = min(0.5 / (weights_k[0] + 1.0), next_level / 2)
    if y_k[-1] >= 1.0:
        last_level = y_k[-2] if len(y_k) > 1 else 0.0
        y_k[-1] = max(1.0 - 0.5 / (weights_k[-1] + 1.0), (1.0 + last_level) / 2)
    if x_k[0] > _MIN_STEP:
        x_k, y_k = [0.0, *x_k], [0.0, *y_k]
    if x_k[-1] < 1.0 - _MIN_STEP:
        x_k, y_k = [*x_k, 1.0], [*y_k, 1.0]
    return IsotonicKnots(x=tuple(x_k), y=tuple(y_k))


def _pool(
    probabilities_n: Float64Array, labels_n: npt.NDArray[np.bool_]
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Mean probability, share of positives and number of cases of each group; equal probabilities stay together."""
    count = len(labels_n)
    groups = min(_MAX_GROUPS, count // _CASES_A_GROUP)
    distinct, member_n, repeats = np.unique(probabilities_n, return_inverse=True, return_counts=True)
    before = np.cumsum(repeats) - repeats
    group_n = (before * groups // count)[member_n]
    weights_g = np.bincount(group_n).astype(np.float64)
    filled = weights_g > 0
    means_g = np.bincount(group_n, distinct[member_n])[filled] / weights_g[filled]
    rates_g = np.bincount(group_n, labels_n.astype(np.float64))[filled] / weights_g[filled]
    return means_g, rates_g, weights_g[filled]


def _levels(x_g: Float64Array, y_g: Float64Array, weights_g: Float64Array) -> tuple[list[float], ...]:
    """One knot for each level, at the weighted mean of its groups."""
    x_k: list[float] = []
    y_k: list[float] = []
    weights_k: list[float] = []
    for x, y, weight in zip(x_g.tolist(), y_g.tolist(), weights_g.tolist(), strict=True):
        if x_k and (y - y_k[-1] < _MIN_STEP or x - x_k[-1] < _MIN_STEP):
            total = weights_k[-1] + weight
            x_k[-1] += (x - x_k[-1]) * weight / total
            y_k[-1] += (y - y_k[-1]) * weight / total
            weights_k[-1] = total
        else:
            x_k.append(x)
            y_k.append(y)
            weights_k.append(weight)
    return x_k, y_k, weights_k
