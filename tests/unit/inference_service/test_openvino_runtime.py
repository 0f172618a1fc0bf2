"""OpenVINO gives what PyTorch gives, says so, and makes way where it cannot."""

import gc
import logging
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from inference_service.bundles import Bundle
from inference_service.engine import choice, openvino_runtime
from inference_service.engine.choice import choose_runtime
from inference_service.engine.network import as_timm, load_network
from inference_service.engine.openvino_runtime import OpenVinoRuntime
from inference_service.engine.screening import ImageScore, ScreeningEngine
from inference_service.engine.torch_runtime import TorchRuntime
from support.untrained import write_untrained

Images = npt.NDArray[np.uint8]


def patterns(count: int, channels: int = 3, size_px: int = 96) -> Images:
    """Cells of 12 x 12 pixels."""
    cells = np.random.default_rng(5).integers(0, 256, (count, channels, 8, 8), np.uint8)
    return cells.repeat(size_px // 8, axis=2).repeat(size_px // 8, axis=3)


def decided(bundle: Bundle) -> torch.nn.Module:
    """The network with a head so large that its probabilities are not all one half."""
    model = load_network(bundle)
    head = as_timm(model).get_classifier()
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=torch.Generator().manual_seed(3)))
    return model


@pytest.fixture
def in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "computes_in_bfloat16", lambda: False)


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("timm_name", ["test_efficientnet", "test_resnet", "test_byobnet"])
def test_logits_and_maps_are_those_of_pytorch(tmp_path: Path, timm_name: str) -> None:
    bundle = write_untrained(tmp_path / "bundle", timm_name=timm_name, size_px=96)
    expected = TorchRuntime(decided(bundle), bundle.manifest, device=torch.device("cpu")).infer(patterns(3))
    runtime = choose_runtime(decided(bundle), bundle.manifest, device="cpu", runtime="openvino")
    given = runtime.infer(patterns(3))
    assert runtime.description.startswith("openvino 20")
    assert runtime.description.endswith(" cpu float32")
    assert expected.logits_n.std() > 0
    assert expected.cams_nyx.max() > 0
    assert {str(numbers.dtype) for numbers in (given.logits_n, given.cams_nyx)} == {"float32"}
    assert np.allclose(given.logits_n, expected.logits_n, rtol=1e-3, atol=1e-4)
    assert np.abs(given.cams_nyx - expected.cams_nyx).max() <= 1e-3


@pytest.mark.usefixtures("in_float32")
def test_one_channel_feeds_every_input_channel(small_bundle: Bundle) -> None:
    channels = type(small_bundle.manifest.image.channels).model_validate(
        {"kind": "ct_windows", "windows": [{"name": "brain", "center_hu": 40, "width_hu": 80}]}
    )
    image = small_bundle.manifest.image.model_copy(update={"channels": channels})
    manifest = small_bundle.manifest.model_copy(update={"image": image})
    one = choose_runtime(decided(small_bundle), manifest, device="cpu", runtime="openvino")
    three = choose_runtime(decided(small_bundle), small_bundle.manifest, device="cpu", runtime="openvino")
    levels = patterns(1, channels=1)
    assert np.allclose(one.infer(levels).logits_n, three.infer(levels.repeat(3, axis=1)).logits_n, atol=1e-5)


@pytest.mark.usefixtures("in_float32")
def test_images_take_turns_where_streams_change_a_bit(
    small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(openvino_runtime, "available_cores", lambda: 2)
    in_streams_too = choose_runtime(decided(small_bundle), small_bundle.manifest, device="cpu", runtime="openvino")
    expected = in_streams_too.infer(patterns(4))
    in_streams = OpenVinoRuntime._infer_in_streams

    def off_by_one_bit(self: OpenVinoRuntime, images_ncyx: Images) -> list[tuple[Any, Any]]:
        return [(np.nextafter(logits, np.inf), maps) for logits, maps in in_streams(self, images_ncyx)]

    monkeypatch.setattr(OpenVinoRuntime, "_infer_in_streams", off_by_one_bit)
    with caplog.at_level(logging.WARNING, logger=openvino_runtime.__name__):
        runtime = choose_runtime(decided(small_bundle), small_bundle.manifest, device="cpu", runtime="openvino")
    warnings = [record.message for record in caplog.records if record.name == openvino_runtime.__name__]
    assert warnings == ["images take turns: in streams their last bits differ"]
    assert np.array_equal(runtime.infer(patterns(4)).logits_n, expected.logits_n)


def test_the_engine_serves_with_it_and_holds_no_second_copy(small_bundle: Bundle) -> None:
    engine = ScreeningEngine.from_bundle(small_bundle, device="cpu", runtime="openvino")
    assert engine.runtime_description.startswith("openvino ")
    engine.warm_up(small_bundle, max_batch_size=8)
    assert all(isinstance(outcome, ImageScore) for outcome in engine.screen(list(patterns(2))))
    model = decided(small_bundle)
    seen = weakref.ref(model)
    runtime = choose_runtime(model, small_bundle.manifest, device="cpu", runtime="openvino")
    expected = runtime.infer(patterns(1))
    del model
    gc.collect()
    assert seen() is None
    assert np.array_equal(runtime.infer(patterns(1)).logits_n, expected.logits_n)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("flags : fpu avx512f avx512_bf16", True), ("flags : amx_bf16", True), ("flags : avx512f", False), (None, False)],
)
def test_bfloat16_is_for_processors_that_compute_in_it(tmp_path: Path, flags: str | None, *, expected: bool) -> None:
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(flags)
    assert openvino_runtime.computes_in_bfloat16(tmp_path / "cpuinfo") is expected


def test_no_telemetry_is_loaded_or_kept(tmp_path: Path) -> None:
    script = (
        "import sys; from inference_service.engine.openvino_runtime import _import_openvino; _import_openvino();"
        "import openvino.tools.ovc as ovc;"
        "print(ovc.telemetry.__class__.__module__, sys.modules['openvino_telemetry'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "None"]
    assert list(tmp_path.iterdir()) == []
