"""What the comparisons rest on: the same network, the same image, the same answer."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.inference import bare, naive
from benchmarks.inference.bare import Subject
from benchmarks.inference.model import choose_bundle, draw_images
from benchmarks.inference.site import images_per_s
from inference_service.bundles import Bundle
from inference_service.bundles.writing import write_bundle
from inference_service.engine.screening import ImageScore, ScreeningEngine
from inference_service.imaging import prepare_frames
from support.untrained import describe_untrained, write_untrained

SIZE_PX = 64


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    directory = tmp_path_factory.mktemp("bundles") / "small"
    return write_untrained(directory, timm_name="test_efficientnet", size_px=SIZE_PX)


@pytest.fixture(scope="module")
def contents() -> list[bytes]:
    return draw_images()


def test_the_naive_design_finds_what_the_engine_finds(bundle: Bundle, contents: list[bytes]) -> None:
    engine = ScreeningEngine.from_bundle(bundle, device="cpu", runtime="torch")
    prepared = [prepare_frames(content, bundle.manifest.image)[0] for content in contents]
    scores = engine.screen([image.image_cyx for image in prepared])
    for content, image, score in zip(contents, prepared, scores, strict=True):
        assert isinstance(score, ImageScore)
        levels_yx, probability, heat_yx = naive.explain(Subject(bundle.directory, "cpu"), content)
        # Levels are cut there and rounded here, which is one step of 255 and what follows from it.
        assert np.abs(levels_yx.astype(int) - image.image_cyx[0].astype(int)).max() <= 1
        assert probability == pytest.approx(score.probability_raw, abs=0.02)
        assert heat_yx.shape == (SIZE_PX, SIZE_PX)


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_without_maps_the_logits_are_the_same(
    bundle: Bundle, contents: list[bytes], runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RADRELAY_INFERENCE_RUNTIME", runtime)
    bare.load_runtime.cache_clear()
    bare.load_runtime_without_maps.cache_clear()
    subject = Subject(bundle.directory, "cpu")
    batch = np.stack([prepare_frames(content, bundle.manifest.image)[0].image_cyx for content in contents])
    both, alone = bare.load_runtime(subject).infer(batch), bare.load_runtime_without_maps(subject).infer(batch)
    assert bare.load_runtime(subject).description.startswith(runtime)
    assert alone.cams_nyx.shape == (len(contents), 1, 1)
    assert both.cams_nyx.shape[1:] != (1, 1)
    assert both.logits_n == pytest.approx(alone.logits_n, abs=1e-2)


def test_a_bundle_at_another_size_has_the_same_weights_and_says_so(bundle: Bundle, tmp_path: Path) -> None:
    resized = choose_bundle(bundle.directory, size_px=96, scratch=tmp_path)
    assert resized.weights == bundle.weights
    assert resized.manifest.image.size_px == 96
    assert resized.manifest.label == "untrained, resized for a benchmark"
    assert choose_bundle(bundle.directory, size_px=SIZE_PX, scratch=tmp_path).digest == bundle.digest


def test_a_bundle_that_takes_no_ct_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    content = describe_untrained(timm_name="test_efficientnet", size_px=SIZE_PX, seed=0)
    content["image"] |= {"accepts": {"modalities": ["MG"]}, "channels": {"kind": "voi"}}
    write_bundle(tmp_path / "mammography", content, {})
    with pytest.raises(BenchmarkError, match="does not take CT"):
        choose_bundle(tmp_path / "mammography", size_px=None, scratch=tmp_path)


def test_the_ramp_does_not_count() -> None:
    slow_start = [10.0, 20.0]
    steady = [20.0 + 0.5 * number for number in range(1, 19)]
    assert images_per_s(slow_start + steady) == pytest.approx(18 / (steady[-1] - 20.0))
