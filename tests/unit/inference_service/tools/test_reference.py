"""A reference describes held-out images in histograms that any later image falls into."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError
from typer.testing import Result

from inference_service.bundles import Bundle, BundleError, load_bundle, write_bundle
from inference_service.bundles.manifest import Histogram, Reference
from inference_service.tools.cases import Cases
from inference_service.tools.errors import ToolError
from inference_service.tools.reference import make_reference
from support.untrained import describe_untrained

Command = Callable[..., Result]


def draw_cases(count: int, *, channels: int = 3) -> Cases:
    random = np.random.default_rng(0)
    logits_n = random.normal(0.0, 2.0, count)
    return Cases(logits_n, logits_n > 0, levels_nc=random.uniform(40.0, 60.0, (count, channels)))


def write_csv(path: Path, cases: Cases) -> Path:
    assert cases.levels_nc is not None
    channels = cases.levels_nc.shape[1]
    lines = [",".join(["logit", "label", *(f"level_{channel}" for channel in range(channels))])]
    for logit, label, levels in zip(
        cases.logits_n.tolist(), cases.labels_n.tolist(), cases.levels_nc.tolist(), strict=True
    ):
        lines.append(",".join([repr(logit), str(int(label)), *map(repr, levels)]))
    path.write_text("\n".join(lines))
    return path


def reference_content(channels: int) -> dict[str, Any]:
    return {
        "cases": 200,
        "probability": {"edges": [0.0, 0.5, 1.0], "shares": [0.25, 0.75]},
        "levels": [{"edges": [0.0, 60.0, 255.0], "shares": [0.5, 0.5]}] * channels,
    }


def test_the_probability_has_ten_equal_bins_and_the_levels_their_deciles(small_bundle: Bundle) -> None:
    cases = draw_cases(1000)
    reference = make_reference(small_bundle.manifest, cases)
    assert reference.cases == 1000
    assert reference.probability.edges == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    probabilities_n = 1.0 / (1.0 + np.exp(-cases.logits_n))
    assert reference.probability.shares[3] == np.mean((probabilities_n >= 0.3) & (probabilities_n < 0.4))
    assert len(reference.levels) == 3
    for histogram in reference.levels:
        assert (histogram.edges[0], histogram.edges[-1], len(histogram.edges)) == (0.0, 255.0, 11)
        assert histogram.shares == pytest.approx([0.1] * 10, abs=0.002)


def test_a_channel_of_one_level_has_few_bins_and_loses_no_case(small_bundle: Bundle) -> None:
    cases = draw_cases(200)
    for level in (0.0, 7.0, 255.0):
        reference = make_reference(
            small_bundle.manifest, Cases(cases.logits_n, cases.labels_n, levels_nc=np.full((200, 3), level))
        )
        assert sum(reference.levels[0].shares) == 1.0
        assert len(reference.levels[0].shares) <= 2


def test_levels_of_another_number_of_channels_are_refused(small_bundle: Bundle) -> None:
    with pytest.raises(ToolError, match="levels of 2 channels; the bundle takes 3"):
        make_reference(small_bundle.manifest, draw_cases(200, channels=2))


def test_the_command_adds_the_reference_and_nothing_else(
    radrelay_bundle: Command, small_bundle: Bundle, tmp_path: Path
) -> None:
    cases = draw_cases(300)
    csv = write_csv(tmp_path / "cases.csv", cases)
    result = radrelay_bundle("reference", small_bundle.directory, "--cases", csv, "--out", tmp_path / "new")
    assert result.exit_code == 0
    made = load_bundle(tmp_path / "new")
    assert made.digest in result.stdout
    assert "300 cases, probability and 3 channels" in result.stdout
    assert made.digest != small_bundle.digest
    assert made.weights == small_bundle.weights
    assert made.manifest.reference == make_reference(small_bundle.manifest, cases)
    assert made.manifest.model_copy(update={"reference": None}) == small_bundle.manifest


def test_without_levels_only_the_probability_is_described(
    radrelay_bundle: Command, small_bundle: Bundle, tmp_path: Path
) -> None:
    csv = tmp_path / "cases.csv"
    csv.write_text("logit,label\n" + "-2,0\n2,1\n" * 50)
    result = radrelay_bundle("reference", small_bundle.directory, "--cases", csv, "--out", tmp_path / "new")
    assert result.exit_code == 0
    reference = load_bundle(tmp_path / "new").manifest.reference
    assert reference is not None
    assert reference.levels == ()
    assert "levels" not in (tmp_path / "new" / "bundle.yaml").read_text()


def test_fewer_than_100_cases_are_refused_and_nothing_is_written(
    radrelay_bundle: Command, small_bundle: Bundle, tmp_path: Path
) -> None:
    csv = write_csv(tmp_path / "cases.csv", draw_cases(99))
    result = radrelay_bundle("reference", small_bundle.directory, "--cases", csv, "--out", tmp_path / "new")
    assert result.exit_code == 1
    assert "99 cases are too few for a reference; 100 are needed" in result.stderr
    assert not (tmp_path / "new").exists()


def test_another_calibration_drops_the_reference(
    radrelay_bundle: Command, small_bundle: Bundle, tmp_path: Path
) -> None:
    csv = write_csv(tmp_path / "cases.csv", draw_cases(300))
    radrelay_bundle("reference", small_bundle.directory, "--cases", csv, "--out", tmp_path / "new")
    result = radrelay_bundle("calibrate", tmp_path / "new", "--cases", csv, "--out", tmp_path / "calibrated")
    assert result.exit_code == 0
    assert load_bundle(tmp_path / "new").manifest.reference is not None
    assert load_bundle(tmp_path / "calibrated").manifest.reference is None


def test_a_bundle_without_a_reference_is_written_as_it_was_before_there_was_one(
    radrelay_bundle: Command, small_bundle: Bundle, tmp_path: Path
) -> None:
    csv = write_csv(tmp_path / "cases.csv", draw_cases(300))
    radrelay_bundle("calibrate", small_bundle.directory, "--cases", csv, "--out", tmp_path / "new")
    for directory in (small_bundle.directory, tmp_path / "new"):
        content = yaml.safe_load((directory / "bundle.yaml").read_text())
        assert "reference" not in content
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        assert load_bundle(directory).digest == f"sha256:{hashlib.sha256(canonical).hexdigest()}"


@pytest.mark.parametrize(
    ("edges", "shares", "said"),
    [
        ((0.0, 0.5, 0.5, 1.0), (0.2, 0.3, 0.5), "edges must rise strictly"),
        ((0.0, 0.5, 1.0), (1.0,), "3 edges do not bound 1 shares"),
        ((0.0, 0.5, 1.0), (0.5, 0.4), "shares add up to 0.9, not to 1"),
        ((0.0, 0.5, 1.0), (1.5, -0.5), "greater than or equal to 0"),
        ((0.0, float("nan"), 1.0), (0.5, 0.5), "finite number"),
    ],
)
def test_a_histogram_that_is_none_is_refused(edges: tuple[float, ...], shares: tuple[float, ...], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Histogram(edges=edges, shares=shares)


def test_rounded_shares_are_whole() -> None:
    third = 0.3333333
    assert Histogram(edges=(0.0, 1.0, 2.0, 3.0), shares=(third,) * 3).shares == (third,) * 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"probability": {"edges": [0.0, 0.9], "shares": [1.0]}}, "probability.edges must begin at 0 and end at 1"),
        ({"levels": [{"edges": [1.0, 255.0], "shares": [1.0]}]}, "levels.0.edges must begin at 0 and end at 255"),
    ],
)
def test_a_reference_that_leaves_values_out_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Reference.model_validate(reference_content(1) | change)


@pytest.mark.parametrize(("channels", "fits"), [(0, True), (3, True), (2, False), (4, False)])
def test_levels_are_of_every_channel_or_of_none(tmp_path: Path, channels: int, fits: bool) -> None:  # noqa: FBT001  # a case of the test
    description = describe_untrained(timm_name="test_efficientnet", size_px=64, seed=0)
    description["reference"] = reference_content(channels)
    tensors = {"weight": np.zeros(2, np.float32)}
    if fits:
        written = write_bundle(tmp_path / "bundle", description, tensors)
        assert written.manifest.reference == Reference.model_validate(description["reference"])
    else:
        with pytest.raises(BundleError, match=f"reference.levels: {channels} histograms for 3 channels"):
            write_bundle(tmp_path / "bundle", description, tensors)
