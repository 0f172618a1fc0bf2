"""A bundle is what its digest says, or it is not used, and the message says what is wrong and where."""

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from inference_service.bundles import Bundle, BundleError, load_bundle, write_bundle
from inference_service.engine.screening import ScreeningEngine
from support.untrained import describe_untrained, write_untrained

TENSORS = {"weight": np.zeros((2, 2), np.float16)}


def description(**changes: Any) -> dict[str, Any]:
    return describe_untrained(timm_name="test_efficientnet", size_px=96, seed=0) | changes


def edit(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = directory / "bundle.yaml"
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


def test_a_bundle_reads_back_as_it_was_written(tmp_path: Path) -> None:
    written = write_bundle(tmp_path / "bundle", description(), TENSORS)
    read = load_bundle(tmp_path / "bundle")
    assert read == written
    assert read.manifest.image.shape_cyx == (3, 96, 96)
    assert read.digest.startswith("sha256:")
    assert len(read.digest) == 71


def test_the_digest_is_of_the_content_and_not_of_its_layout(tmp_path: Path) -> None:
    written = write_bundle(tmp_path / "bundle", description(), TENSORS)
    path = tmp_path / "bundle" / "bundle.yaml"
    path.write_text("# a comment\n" + yaml.safe_dump(yaml.safe_load(path.read_text()), sort_keys=True))
    assert load_bundle(tmp_path / "bundle").digest == written.digest


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["thresholds"].update(stat=0.9),
        lambda content: content.update(label="trained"),
        lambda content: content["image"]["channels"]["windows"][0].update(width_hu=81.0),
    ],
)
def test_any_change_of_meaning_gives_another_digest(
    writable_bundle: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    before = load_bundle(writable_bundle).digest
    edit(writable_bundle, change)
    assert load_bundle(writable_bundle).digest != before


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda c: c.pop("finding"), "finding: Field required"),
        (lambda c: c.update(colour="red"), "colour: Extra inputs"),
        (lambda c: c.update(format_version=2), "format_version"),
        (lambda c: c["image"].update(size_px=7), "image.size_px"),
        (lambda c: c["thresholds"].update(urgent=0.9), "thresholds: urgent must not be above stat"),
        (lambda c: c["thresholds"].update(stat=float("nan")), "thresholds.stat"),
        (lambda c: c["image"]["accepts"].update(modalities=["CT", "MR"]), "no other modality has Hounsfield units"),
        (lambda c: c["normalization"].update(mean=[0.5]), "normalization.mean: 1 values"),
        (lambda c: c["image"]["channels"]["windows"].pop(), "image.channels: 2 channels cannot feed"),
        (
            lambda c: c["calibration"].update(isotonic={"x": [0.0, 1.0], "y": [1.0, 0.0]}),
            "calibration.isotonic: y must not fall",
        ),
        (
            lambda c: c["calibration"].update(isotonic={"x": [0.0, 0.5, 0.5], "y": [0.0, 0.5, 1.0]}),
            "calibration.isotonic: x must rise strictly",
        ),
        (
            lambda c: c["calibration"].update(isotonic={"x": [0.0, 1.0], "y": [0.0, 0.5, 1.0]}),
            "calibration.isotonic: x has 2 knots and y has 3",
        ),
    ],
)
def test_a_broken_manifest_says_what_and_where(
    writable_bundle: Path, change: Callable[[dict[str, Any]], None], place: str
) -> None:
    edit(writable_bundle, change)
    with pytest.raises(BundleError) as caught:
        load_bundle(writable_bundle)
    assert place in str(caught.value)
    assert str(caught.value).startswith(str(writable_bundle / "bundle.yaml"))


def test_what_is_no_yaml_says_the_line(writable_bundle: Path) -> None:
    (writable_bundle / "bundle.yaml").write_text("name: [unclosed\nversion: 1")
    with pytest.raises(BundleError, match=r"(?s)is not valid YAML: .*line 2"):
        load_bundle(writable_bundle)


def test_a_key_that_appears_twice_is_a_fault(writable_bundle: Path) -> None:
    path = writable_bundle / "bundle.yaml"
    path.write_text(path.read_text() + "label: trained\n")
    with pytest.raises(BundleError, match="key 'label' appears twice"):
        load_bundle(writable_bundle)


def test_a_manifest_that_is_no_mapping_is_a_fault(writable_bundle: Path) -> None:
    (writable_bundle / "bundle.yaml").write_text("- one\n")
    with pytest.raises(BundleError, match="is not a mapping"):
        load_bundle(writable_bundle)


@pytest.mark.parametrize("name", ["bundle.yaml", "weights.safetensors"])
def test_a_missing_file_is_named(writable_bundle: Path, name: str) -> None:
    (writable_bundle / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: cannot be read: No such file"):
        load_bundle(writable_bundle)


def test_one_changed_byte_of_the_weights_is_found(writable_bundle: Path) -> None:
    path = writable_bundle / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"weights\.safetensors: sha256 is [0-9a-f]{64}, bundle\.yaml says"):
        load_bundle(writable_bundle)


def test_a_date_without_quotes_is_refused_because_it_has_no_canonical_form(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle", description(version="0.1.0"), TENSORS)
    path = tmp_path / "bundle" / "bundle.yaml"
    path.write_text(path.read_text().replace("data: none", "data: 2026-03-14"))
    with pytest.raises(BundleError, match=r"provenance\.data"):
        load_bundle(tmp_path / "bundle")


def use_weights(directory: Path, content: bytes) -> Bundle:
    """The bundle with other weights whose digest is in order."""
    (directory / "weights.safetensors").write_bytes(content)
    edit(directory, lambda c: c["weights"].update(sha256=hashlib.sha256(content).hexdigest()))
    return load_bundle(directory)


def test_a_pickle_is_never_read_as_weights(writable_bundle: Path) -> None:
    bundle = use_weights(writable_bundle, pickle.dumps({"weight": 1}))
    with pytest.raises(BundleError, match=r"weights\.safetensors: is not a safetensors file"):
        ScreeningEngine.from_bundle(bundle)


def test_weights_of_another_network_say_which_names_do_not_fit(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", description(), TENSORS)
    with pytest.raises(BundleError, match=r"does not fit test_efficientnet: .*Missing key.*conv_stem\.weight"):
        ScreeningEngine.from_bundle(bundle)


@pytest.mark.parametrize(
    ("timm_name", "size_px", "problem"),
    [
        ("no_such_network", 96, "timm has no architecture no_such_network"),
        ("test_vit", 160, "the last features have 3 dimensions"),
        ("test_vit3", 224, "does not take inputs of 224 px"),
    ],
)
def test_an_architecture_that_cannot_be_served_is_named(
    tmp_path: Path, timm_name: str, size_px: int, problem: str
) -> None:
    if timm_name == "no_such_network":
        architecture = {"timm_name": timm_name, "input_channels": 3}
        bundle = write_bundle(tmp_path / "bundle", description(architecture=architecture), TENSORS)
    else:
        bundle = write_untrained(tmp_path / "bundle", timm_name=timm_name, size_px=160)
        edit(bundle.directory, lambda c: c["image"].update(size_px=size_px))
        bundle = load_bundle(bundle.directory)
    with pytest.raises(BundleError, match=rf"architecture\.timm_name: .*{problem}"):
        ScreeningEngine.from_bundle(bundle)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    before = write_bundle(tmp_path / "bundle", description(), TENSORS)
    with pytest.raises(BundleError):
        write_bundle(tmp_path / "bundle", description(finding=""), TENSORS)
    assert load_bundle(tmp_path / "bundle") == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_bundle_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle", description(version="0.1.0"), TENSORS)
    write_bundle(tmp_path / "bundle", description(version="0.2.0"), TENSORS)
    assert load_bundle(tmp_path / "bundle").manifest.version == "0.2.0"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_seed_names_its_weights(small_bundle: Bundle, tmp_path: Path) -> None:
    again = write_untrained(tmp_path / "again", timm_name="test_efficientnet", size_px=96)
    other = write_untrained(tmp_path / "other", timm_name="test_efficientnet", size_px=96, seed=1)
    assert again.digest == small_bundle.digest
    assert other.manifest.weights.sha256 != small_bundle.manifest.weights.sha256
    assert again.manifest.label == "untrained"
