"""PyTorch on a GPU; skipped where there is none."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from inference_service.bundles import Bundle
from inference_service.engine.choice import PROBABILITY_TOLERANCE, choose_runtime, probability_difference
from inference_service.engine.network import load_network
from inference_service.engine.runtime import Runtime, RuntimeName
from inference_service.engine.screening import ImageScore, ScreeningEngine
from support.untrained import write_untrained

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

SIZE_PX = 192


@pytest.fixture(scope="module")
def b4(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_untrained(tmp_path_factory.mktemp("bundles") / "b4", size_px=SIZE_PX)


def patterns(count: int) -> npt.NDArray[np.uint8]:
    cells = np.random.default_rng(5).integers(0, 256, (count, 3, 8, 8), np.uint8)
    return cells.repeat(SIZE_PX // 8, axis=2).repeat(SIZE_PX // 8, axis=3)


def on_cuda(bundle: Bundle, name: RuntimeName) -> Runtime:
    return choose_runtime(load_network(bundle), bundle.manifest, device="cuda", runtime=name)


def test_bfloat16_agrees_with_float32_on_the_cpu_and_on_the_gpu(b4: Bundle) -> None:
    images = patterns(11)
    on_cpu = choose_runtime(load_network(b4), b4.manifest, device="cpu", runtime="torch-float32").infer(images)
    for name in ("torch-bfloat16", "torch-float32"):
        given = on_cuda(b4, name).infer(images)
        assert probability_difference(given, on_cpu, b4.manifest) <= PROBABILITY_TOLERANCE
        assert np.abs(given.cams_nyx - on_cpu.cams_nyx).max() <= 0.05 * on_cpu.cams_nyx.max()


def test_float32_is_not_tf32(b4: Bundle) -> None:
    images = patterns(2)
    on_cpu = choose_runtime(load_network(b4), b4.manifest, device="cpu", runtime="torch-float32").infer(images)
    assert np.abs(on_cuda(b4, "torch-float32").infer(images).logits_n - on_cpu.logits_n).max() < 1e-4


def test_auto_serves_with_pytorch_on_the_gpu(b4: Bundle) -> None:
    runtime = choose_runtime(load_network(b4), b4.manifest)
    assert runtime.description.split()[2] == "cuda"


def test_another_head_is_explained_in_bfloat16(tmp_path: Path) -> None:
    bundle = write_untrained(tmp_path / "bundle", timm_name="test_convnext", size_px=SIZE_PX)
    full, half = (on_cuda(bundle, name).infer(patterns(3)) for name in ("torch-float32", "torch-bfloat16"))
    assert np.abs(half.cams_nyx - full.cams_nyx).max() <= 0.05 * full.cams_nyx.max()


@pytest.mark.parametrize("name", ["torch-bfloat16", "torch-float32"])
def test_an_image_scores_the_same_alone_again_and_at_every_place_of_a_batch(b4: Bundle, name: RuntimeName) -> None:
    runtime, images = on_cuda(b4, name), patterns(11)
    alone = [runtime.infer(image[np.newaxis]) for image in images]
    for count in (1, 2, 3, 8, 11):
        members = (np.arange(count) + 3 * count) % 11
        together = runtime.infer(images[members])
        for place, member in enumerate(members):
            assert together.logits_n[place] == alone[member].logits_n[0], (count, place)
            assert np.array_equal(together.cams_nyx[place], alone[member].cams_nyx[0]), (count, place)


def test_images_go_to_the_gpu_from_pinned_memory(b4: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = on_cuda(b4, "torch-bfloat16")
    pinned: list[tuple[int, ...]] = []
    pin_memory = torch.Tensor.pin_memory

    def seen(tensor: torch.Tensor) -> torch.Tensor:
        pinned.append(tuple(tensor.shape))
        return pin_memory(tensor)

    monkeypatch.setattr(torch.Tensor, "pin_memory", seen)
    runtime.infer(patterns(9))
    assert pinned == [(8, 3, SIZE_PX, SIZE_PX)] * 2


def test_after_the_warm_up_no_batch_needs_more_memory(b4: Bundle) -> None:
    engine = ScreeningEngine.from_bundle(b4, device="cuda", runtime="torch-bfloat16")
    engine.warm_up(b4, max_batch_size=8)
    reserved = torch.cuda.memory_reserved()
    for count in range(1, 9):
        assert all(isinstance(outcome, ImageScore) for outcome in engine.screen(list(patterns(count))))
    assert torch.cuda.memory_reserved() == reserved
