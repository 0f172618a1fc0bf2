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


def test_subgroups_have_the_sensitivity_of_their_positive_cases(manifest: BundleManifest) -> None:
    cases = Cases(
        logits_n=np.array([1.0, -1.0, 1.0, 1.0, -1.0]),
        labels_n=np.array([True, True, True, False, False]),
        groups_n=np.array(["subdural", "subdural", "epidural", "none", ""]),
    )
    evaluation = evaluate_cases(manifest, cases, resamples=1)
    assert [(each.name, each.positives) for each in evaluation.subgroups] == [("epidural", 1), ("subdural", 2)]
    assert [each.sensitivity for each in evaluation.subgroups] == [wilson_interval(1, 1), wilson_interval(1, 2)]


def test_the_explanation_is_of_true_positives_that_have_a_map(manifest: BundleManifest) -> None:
    nan = float("nan")
    cases = Cases(
        logits_n=np.array([2.0, 2.0, 2.0, 2.0, -2.0, -2.0]),
        labels_n=np.array([True, True, True, True, True, False]),
        heat_hits_n=np.array([1.0, 0.0, 1.0, nan, 0.0, nan]),  # the fifth is no true positive
        heat_inside_n=np.array([0.2, 0.4, nan, nan, 1.0, nan]),
    )
    explanation = evaluate_cases(manifest, cases, resamples=200).explanation
    assert explanation is not None
    assert explanation.true_positives == 4
    assert explanation.hit_rate is not None
    assert (explanation.hit_rate.cases, explanation.hit_rate.estimate) == (3, wilson_interval(2, 3))
    assert explanation.heat_inside is not None
    assert explanation.heat_inside.cases == 2
    assert explanation.heat_inside.estimate.value == pytest.approx(0.3)
    assert explanation.heat_inside.estimate.low == pytest.approx(0.2)
    assert explanation.heat_inside.estimate.high == pytest.approx(0.4)


def test_what_the_cases_do_not_say_is_not_measured(manifest: BundleManifest, cases: Cases) -> None:
    plain = evaluate_cases(manifest, cases, resamples=1)
    assert (plain.subgroups, plain.explanation) == ((), None)
    empty_n = np.full(len(cases.labels_n), np.nan)
    without_maps = Cases(cases.logits_n, cases.labels_n, heat_hits_n=empty_n)
    explanation = evaluate_cases(manifest, without_maps, resamples=1).explanation
    assert explanation is not None
    assert (explanation.hit_rate, explanation.heat_inside) == (None, None)


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
    for said in (small_bundle.manifest.label, small_bundle.manifest.intended_use):
        assert said in table.stdout
    assert (told["label"], told["intended_use"]) == (
        small_bundle.manifest.label,
        small_bundle.manifest.intended_use,
    )
    assert told["at_thresholds"][2]["sensitivity"]["value"] == 0.5


def test_the_command_prints_subgroups_and_explanation_where_the_cases_have_them(
    radrelay_bundle: Command, small_bundle: Bundle, tmp_path: Path
) -> None:
    csv = tmp_path / "cases.csv"
    csv.write_text("logit,label,group,heat_hit\n" + "-2,0,,\n1,1,subdural,1\n-2,1,epidural,\n" * 10)
    table = radrelay_bundle("evaluate", small_bundle.directory, "--cases", csv)
    assert "epidural          10         0.000 [0.000, 0.278]" in table.stdout
    assert "subdural          10         1.000 [0.722, 1.000]" in table.stdout
    assert "explanation of 10 true positives" in table.stdout
    assert "heat hits lesion  1.000 [0.722, 1.000]  of 10" in table.stdout
    assert "heat inside       not measured" in table.stdout
    told = json.loads(radrelay_bundle("evaluate", small_bundle.directory, "--cases", csv, "--json").stdout)
    assert [each["name"] for each in told["subgroups"]] == ["epidural", "subdural"]
    assert told["explanation"]["heat_inside"] is None
