"""A bundle is built from tensors that fit, and from nothing that runs."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load, save_file
from typer.testing import Result

from inference_service.bundles import Bundle, load_bundle
from support.untrained import describe_untrained

Command = Callable[..., Result]


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.fixture
def state(small_bundle: Bundle) -> dict[str, torch.Tensor]:
    """Of the small network, in half precision."""
    return load(small_bundle.weights)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """What the small bundle says, without its weights."""
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump(describe_untrained(timm_name="test_efficientnet", size_px=96, seed=0)))
    return path


@pytest.mark.parametrize("name", ["state.pt", "state.safetensors"])
def test_the_same_tensors_and_words_give_the_same_bundle(
    radrelay_bundle: Command,
    small_bundle: Bundle,
    state: dict[str, torch.Tensor],
    manifest: Path,
    tmp_path: Path,
    name: str,
) -> None:
    path = tmp_path / name
    (torch.save if path.suffix == ".pt" else save_file)(state, path)
    result = radrelay_bundle("build", path, "--manifest", manifest, "--out", tmp_path / "new")
    assert result.exit_code == 0
    assert load_bundle(tmp_path / "new").digest == small_bundle.digest
    assert small_bundle.digest in result.stdout


def test_bfloat16_becomes_float32(
    radrelay_bundle: Command, state: dict[str, torch.Tensor], manifest: Path, tmp_path: Path
) -> None:
    path = tmp_path / "state.pt"
    torch.save({name: each.bfloat16() if each.is_floating_point() else each for name, each in state.items()}, path)
    assert radrelay_bundle("build", path, "--manifest", manifest, "--out", tmp_path / "new").exit_code == 0
    built = load(load_bundle(tmp_path / "new").weights)
    assert built["classifier.weight"].dtype == torch.float32
    assert torch.equal(built["classifier.weight"], state["classifier.weight"].bfloat16().float())


class Touch:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(
    radrelay_bundle: Command, manifest: Path, tmp_path: Path
) -> None:
    torch.save({"weight": Touch(tmp_path / "ran")}, tmp_path / "state.pt")
    result = radrelay_bundle("build", tmp_path / "state.pt", "--manifest", manifest, "--out", tmp_path / "new")
    assert result.exit_code == 1
    assert "state.pt: is damaged or holds more than tensors" in result.stderr
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "state.pt: cannot be read: No such file"),
        (b"", "state.pt: is not a file of torch.save"),
        (saved([1, 2]), "state.pt: is a list, not a state dict"),
        (b"no pickle", "state.pt: is damaged or holds more than tensors"),
    ],
)
def test_a_file_without_a_state_is_named(
    radrelay_bundle: Command, manifest: Path, tmp_path: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "state.pt").write_bytes(content)
    result = radrelay_bundle("build", tmp_path / "state.pt", "--manifest", manifest, "--out", tmp_path / "new")
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr


def test_a_checkpoint_around_the_state_is_refused_by_its_keys(
    radrelay_bundle: Command, state: dict[str, torch.Tensor], manifest: Path, tmp_path: Path
) -> None:
    torch.save({"model": state, "epoch": 3}, tmp_path / "state.pt")
    result = radrelay_bundle("build", tmp_path / "state.pt", "--manifest", manifest, "--out", tmp_path / "new")
    assert result.exit_code == 1
    assert "is not a flat dict of tensors, see model, epoch" in result.stderr


def test_a_state_of_another_network_is_refused(
    radrelay_bundle: Command, state: dict[str, torch.Tensor], manifest: Path, tmp_path: Path
) -> None:
    del state["classifier.weight"]
    save_file(state, tmp_path / "state.safetensors")
    result = radrelay_bundle("build", tmp_path / "state.safetensors", "--manifest", manifest, "--out", tmp_path / "new")
    assert result.exit_code == 1
    assert f"{tmp_path / 'state.safetensors'}: does not fit test_efficientnet" in result.stderr
    assert "classifier.weight" in result.stderr
    assert not (tmp_path / "new").exists()


def test_a_wrong_manifest_is_named_with_the_place_in_it(
    radrelay_bundle: Command, state: dict[str, torch.Tensor], manifest: Path, tmp_path: Path
) -> None:
    save_file(state, tmp_path / "state.safetensors")
    manifest.write_text(manifest.read_text().replace("size_px: 96", "size_px: 9"))
    result = radrelay_bundle("build", tmp_path / "state.safetensors", "--manifest", manifest, "--out", tmp_path / "new")
    assert result.exit_code == 1
    assert f"{manifest}: image.size_px: " in result.stderr
    assert not (tmp_path / "new").exists()
