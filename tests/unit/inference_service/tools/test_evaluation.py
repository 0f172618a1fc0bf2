"""Every figure is what its definition says."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, recall_score, roc_auc_score
from typer.testing import Result

from inference_service.bundles import Bundle, BundleManifest
from inference_service.bundles.manifest import CalibrationSpec
from inference_service.engine.calibration import sigmoid
from inference_service.tools.cases import Cases
from inference_service.tools.errors import ToolError
from inference_service.tools.evaluation import (
    evaluate_cases,
    expected_calibration_error,
    reliability,
    wilson_interval,
)

Command = Callable[..., Result]


@pytest.fixture
def manifest(small_bundle: Bundle) -> BundleManifest:
    """Thresholds 0.5, 0.5 and 0.8, and a temperature of 2."""
    return small_bundle.manifest.model_copy(update={"calibration": CalibrationSpec(temperature=2.0)})


@pytest.fixture
def cases() -> Cases:
    """Calibrated once divided by 2."""
    random = np.random.default_rng(0)
    logits_n = random.normal(0.0, 2.0, 600)
    return Cases(logits_n * 2.0, random.random(600) < sigmoid(logits_n))


def test_the_figures_are_those_of_scikit_learn(manifest: BundleManifest, cases: Cases) -> None:
    evaluation = evaluate_cases(manifest, cases, resamples=20)
    labels_n, before_n, after_n = cases.labels_n, sigmoid(cases.logits_n), sigmoid(cases.logits_n / 2.0)
    assert evaluation.auroc.value == pytest.approx(roc_auc_score(labels_n, after_n))
    assert evaluation.auprc.value == pytest.approx(average_precision_score(labels_n, after_n))
    for figures, probabilities_n in (
        (evaluation.before_calibration, before_n),
        (evaluation.after_calibration, after_n),
    ):
        assert figures.brier == pytest.approx(brier_score_loss(labels_n, probabilities_n))
        assert figures.nll == pytest.approx(log_loss(labels_n, probabilities_n))
    for at in evaluation.at_thresholds:
        assert at.sensitivity.value == pytest.approx(recall_score(labels_n, after_n >= at.threshold))
        assert at.specificity.value == pytest.approx(recall_score(~labels_n, after_n < at.threshold))
    assert [(at.name, at.threshold) for at in evaluation.at_thresholds] == [
        ("positive", 0.5),
        ("urgent", 0.5),
        ("stat", 0.8),
    ]


def test_the_right_temperature_makes_every_reliability_figure_smaller(manifest: BundleManifest, cases: Cases) -> None:
    evaluation = evaluate_cases(manifest, cases, resamples=1)
    before, after = evaluation.before_calibration, evaluation.after_calibration
    assert after.ece < before.ece
    assert after.brier < before.brier
    assert after.nll < before.nll


def test_a_threshold_is_inclusive(manifest: BundleManifest) -> None:
    cases = Cases(np.array([0.0, -1.0]), np.array([True, False]))
    at_half = evaluate_cases(manifest, cases, resamples=1).at_thresholds[0]
    assert (at_half.sensitivity.value, at_half.specificity.value) == (1.0, 1.0)


def test_the_bootstrap_is_seeded_and_holds_the_figure(manifest: BundleManifest, cases: Cases) -> None:
    first, again = (evaluate_cases(manifest, cases, resamples=50, seed=3).auroc for _ in range(2))
    assert first == again
    assert first.low < first.value < first.high
    assert evaluate_cases(manifest, cases, resamples=50, seed=4).auroc != first


# The first three from Newcombe (1998), table I, method 3.
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (20, 20, 0.8389, 1.0)],
)
def test_the_interval_of_a_proportion_is_wilsons(successes: int, trials: int, low: float, high: float) -> None:
    interval = wilson_interval(successes, trials)
    assert interval.value == successes / trials
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


def test_probabilities_that_are_frequencies_have_a_small_calibration_error() -> None:
    random = np.random.default_rng(0)
    probabilities_n = random.random(50_000)
    labels_n = random.random(50_000) < probabilities_n
    assert expected_calibration_error(labels_n, probabilities_n) < 0.01
    assert expected_calibration_error(labels_n, probabilities_n**3) > 0.2


def test_the_calibration_error_weighs_each_bin_by_its_cases() -> None:
    labels_n = np.array([False, False, True, True, True])
    probabilities_n = np.array([0.1, 0.2, 0.3, 0.6, 0.9])
    # Bins of 3 and 2 cases: |0.2 - 1/3| * 3/5 + |0.75 - 1| * 2/5
    assert expected_calibration_error(labels_n, probabilities_n, bins=2) == pytest.approx(0.08 + 0.1)


def test_one_certain_mistake_leaves_the_likelihood_finite() -> None:
    assert reliability(np.array([True]), np.array([0.0])).nll == pytest.approx(-np.log(1e-12))


@pytest.mark.parametrize("label", [True, False])
def test_one_class_alone_cannot_be_evaluated(manifest: BundleManifest, label: bool) -> None:  # noqa: FBT001  # a case of the test
    with pytest.raises(ToolError, match="needs both classes"):
        evaluate_cases(manifest, Cases(np.zeros(3), np.full(3, label)))


def test_the_command_prints_a_table_or_json(radrelay_bundle: Command, small_bundle: Bundle, tmp_path: Path) -> None:
    csv = tmp_path / "cases.csv"
    csv.write_text("logit,label\n" + "-2,0\n1,1\n2,1\n3,0\n" * 5)
    table = radrelay_bundle("evaluate", small_bundle.directory, "--cases", csv)
    assert table.exit_code == 0
    assert "20 cases, 10 positive" in table.stdout
    assert "stat 0.8          0.500 [0.237, 0.763]" in table.stdout
    told = json.loads(radrelay_bundle("evaluate", small_bundle.directory, "--cases", csv, "--json").stdout)
    assert told["digest"] == small_bundle.digest
    assert told["at_thresholds"][2]["sensitivity"]["value"] == 0.5
