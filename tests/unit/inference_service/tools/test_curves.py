"""The curves of a card hold every case and agree with the figures of the evaluation."""

import numpy as np
import pytest
from sklearn.metrics import auc

from inference_service.bundles import Bundle, BundleManifest
from inference_service.bundles.manifest import CalibrationSpec
from inference_service.engine.calibration import sigmoid
from inference_service.tools.cases import Cases
from inference_service.tools.curves import reliability_bins, trace_curves
from inference_service.tools.evaluation import evaluate_cases, wilson_interval


@pytest.fixture
def manifest(small_bundle: Bundle) -> BundleManifest:
    """A temperature of 2."""
    return small_bundle.manifest.model_copy(update={"calibration": CalibrationSpec(temperature=2.0)})


@pytest.fixture
def cases() -> Cases:
    """Calibrated once divided by 2."""
    random = np.random.default_rng(0)
    logits_n = random.normal(0.0, 2.0, 607)
    return Cases(logits_n * 2.0, random.random(607) < sigmoid(logits_n))


def test_the_curves_agree_with_the_evaluation(manifest: BundleManifest, cases: Cases) -> None:
    curves, evaluation = trace_curves(manifest, cases), evaluate_cases(manifest, cases, resamples=1)
    area = auc(curves.false_positive_rates_t, curves.true_positive_rates_t)
    assert area == pytest.approx(evaluation.auroc.value)
    for bins, figures in (
        (curves.before_calibration, evaluation.before_calibration),
        (curves.after_calibration, evaluation.after_calibration),
    ):
        distances = [each.cases * abs(each.probability - each.frequency.value) for each in bins]
        assert sum(distances) / evaluation.cases == pytest.approx(figures.ece)
    assert curves.positive_counts.sum() == evaluation.positives
    assert curves.negative_counts.sum() == evaluation.cases - evaluation.positives


def test_the_bins_have_equal_mass_and_rise() -> None:
    random = np.random.default_rng(0)
    probabilities_n = random.random(607)
    labels_n = random.random(607) < probabilities_n
    bins = reliability_bins(labels_n, probabilities_n)
    assert [each.cases for each in bins] == [41] * 7 + [40] * 8
    assert [each.probability for each in bins] == sorted(each.probability for each in bins)
    assert sum(each.positives for each in bins) == labels_n.sum()
    assert bins[3].frequency == wilson_interval(bins[3].positives, bins[3].cases)


def test_fewer_cases_than_bins_give_one_bin_a_case() -> None:
    bins = reliability_bins(np.array([True, False]), np.array([0.9, 0.1]))
    assert [(each.cases, each.probability, each.positives) for each in bins] == [(1, 0.1, 0), (1, 0.9, 1)]


def test_probabilities_of_0_and_1_are_in_the_histograms(manifest: BundleManifest) -> None:
    curves = trace_curves(manifest, Cases(np.array([-2000.0, 2000.0]), np.array([False, True])))
    assert (curves.negative_counts[0], curves.positive_counts[-1]) == (1, 1)
