"""`info` and `validate` say what a bundle is, or what is wrong with it and where."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from inference_service.bundles import Bundle, write_bundle
from support.untrained import describe_untrained

Command = Callable[..., Result]


@pytest.mark.parametrize("command", ["info", "validate"])
def test_a_good_bundle_is_described(radrelay_bundle: Command, small_bundle: Bundle, command: str) -> None:
    result = radrelay_bundle(command, small_bundle.directory)
    assert result.exit_code == 0
    for said in (small_bundle.digest, "untrained", "test_efficientnet", "temperature 1,", "stat 0.8", "random weights"):
        assert said in result.stdout


@pytest.mark.parametrize("command", ["info", "validate"])
def test_a_broken_manifest_is_named_with_the_place_in_it(
    radrelay_bundle: Command, writable_bundle: Path, command: str
) -> None:
    path = writable_bundle / "bundle.yaml"
    path.write_text(path.read_text().replace("urgent: 0.5", "urgent: 0.9"))
    result = radrelay_bundle(command, writable_bundle)
    assert result.exit_code == 1
    assert f"{path}: thresholds: urgent must not be above stat" in result.stderr
    assert result.stdout == ""


def test_changed_weights_are_found(radrelay_bundle: Command, writable_bundle: Path) -> None:
    (writable_bundle / "weights.safetensors").write_bytes(b"other")
    result = radrelay_bundle("info", writable_bundle)
    assert result.exit_code == 1
    assert "weights.safetensors: sha256 is" in result.stderr


def test_validate_finds_weights_of_another_architecture(radrelay_bundle: Command, tmp_path: Path) -> None:
    description = describe_untrained(timm_name="test_efficientnet", size_px=96, seed=0)
    write_bundle(tmp_path / "bundle", description, {"weight": np.zeros(2, np.float32)})
    assert radrelay_bundle("info", tmp_path / "bundle").exit_code == 0
    result = radrelay_bundle("validate", tmp_path / "bundle")
    assert result.exit_code == 1
    assert "does not fit test_efficientnet" in result.stderr
