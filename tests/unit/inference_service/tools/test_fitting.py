"""A fitted calibration undoes what is wrong with the logits and leaves alone what is right."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import Result

from inference_service.bundles import Bundle, load_bundle
from inference_service.bundles.manifest import CalibrationSpec
from inference_service.engine.calibration import calibrate, sigmoid
from inference_service.tools.cases import Cases
from inference_service.tools.errors import ToolError
from inference_service.tools.fitting import fit_calibration, fit_temperature

Command = Callable[..., Result]


def draw_cases(count: int, *, temperature: float = 1.0, shift: float = 0.0, seed: int = 0) -> Cases:
    """Labels drawn from the probabilities of logits, which are then shifted and multiplied."""
    random = np.random.default_rng(seed)
    logits_n = random.normal(0.0, 2.0, count)
    labels_n = random.random(count) < sigmoid(logits_n)
    return Cases((logits_n + shift) * temperature, labels_n)


def write_csv(path: Path, cases: Cases) -> Path:
    rows = zip(cases.logits_n.tolist(), cases.labels_n.tolist(), strict=True)
    path.write_text("case,logit,label\n" + "".join(f"c,{logit!r},{int(label)}\n" for logit, label in rows))
    return path


def test_calibrated_logits_are_left_nearly_alone() -> None:
    cases = draw_cases(20_000)
    spec = fit_calibration(cases)
    assert spec.temperature == pytest.approx(1.0, abs=0.05)
    assert np.abs(calibrate(cases.logits_n, spec) - sigmoid(cases.logits_n)).max() < 0.05


@pytest.mark.parametrize("temperature", [0.3, 2.5, 6.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    assert fit_temperature(draw_cases(20_000, temperature=temperature)) == pytest.approx(temperature, rel=0.05)


def test_a_shift_that_no_temperature_undoes_is_undone_by_the_isotonic_map() -> None:
    held_out = draw_cases(20_000, shift=2.0, seed=1)
    spec = fit_calibration(draw_cases(20_000, shift=2.0))
    truth_n = sigmoid(held_out.logits_n - 2.0)
    by_temperature_n = calibrate(held_out.logits_n, CalibrationSpec(temperature=spec.temperature))
    assert np.abs(by_temperature_n - truth_n).mean() > 0.1
    assert np.abs(calibrate(held_out.logits_n, spec) - truth_n).mean() < 0.02


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(150, 600),
    temperature=st.floats(0.2, 8.0),
    shift=st.floats(-1.0, 1.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_map_has_few_strictly_rising_knots_and_keeps_the_ranking(
    count: int, temperature: float, shift: float, seed: int
) -> None:
    spec = fit_calibration(draw_cases(count, temperature=temperature, shift=shift, seed=seed))
    assert spec.isotonic is not None
    assert len(spec.isotonic.x) <= 22
    assert all(np.diff(spec.isotonic.x) > 0)
    assert all(np.diff(spec.isotonic.y) > 0)
    assert all(np.diff(calibrate(np.linspace(-10.0, 10.0, 201) * spec.temperature, spec)) > 0)


def test_classes_that_do_not_overlap_give_no_certainty_from_few_cases() -> None:
    labels_n = np.arange(120) >= 60
    spec = fit_calibration(Cases(np.where(labels_n, 3.0, -3.0), labels_n))
    low, high = calibrate(np.array([-3.0, 3.0]), spec)
    assert 0.0 < low < 0.02
    assert 0.98 < high < 1.0


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0, 1] * 49, "98 cases are too few"),
        ([0] * 200, "0 positive and 200 negative"),
        ([1] * 200 + [0] * 19, "200 positive and 19 negative"),
    ],
)
def test_too_few_cases_are_refused(labels: list[int], said: str) -> None:
    with pytest.raises(ToolError, match=said):
        fit_calibration(Cases(np.linspace(-1, 1, len(labels)), np.array(labels, np.bool_)))


def test_logits_that_fall_with_the_label_are_refused() -> None:
    cases = draw_cases(500)
    with pytest.raises(ToolError, match="do not rise with the label"):
        fit_calibration(Cases(-cases.logits_n, cases.labels_n))


def test_the_command_changes_the_calibration_and_nothing_else(
    radrelay_bundle: Command, small_bundle: Bundle, tmp_path: Path
) -> None:
    cases = draw_cases(400, temperature=3.0)
    csv = write_csv(tmp_path / "cases.csv", cases)
    result = radrelay_bundle("calibrate", small_bundle.directory, "--cases", csv, "--out", tmp_path / "new")
    assert result.exit_code == 0
    made = load_bundle(tmp_path / "new")
    assert made.digest in result.stdout
    assert made.weights == small_bundle.weights
    assert made.manifest.calibration == fit_calibration(cases)
    assert made.manifest.model_copy(update={"calibration": small_bundle.manifest.calibration}) == small_bundle.manifest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("logit,answer\n1,1\n", "has no column label"),
        ("logit,label\n1,1\nnan,0\n", "line 3: logit is 'nan'"),
        ("logit,label\n1\n", "line 2: label is ''"),
        ("logit,label\n1,yes\n", "line 2: label is 'yes'"),
        ("logit,label\n1,1\n", "1 cases are too few"),
    ],
)
def test_cases_that_cannot_be_used_are_named_and_nothing_is_written(
    radrelay_bundle: Command, small_bundle: Bundle, tmp_path: Path, text: str, said: str
) -> None:
    csv = tmp_path / "cases.csv"
    csv.write_text(text)
    result = radrelay_bundle("calibrate", small_bundle.directory, "--cases", csv, "--out", tmp_path / "new")
    assert result.exit_code == 1
    assert said in result.stderr
    assert not (tmp_path / "new").exists()
