"""OpenVINO gives what PyTorch gives, says so, and makes way where it cannot."""

import gc
import logging
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from inference_service.bundles import Bundle
from inference_service.bundles.manifest import BundleManifest
from inference_service.bundles.untrained import write_untrained
from inference_service.engine import choice, openvino_runtime
from inference_service.engine.calibration import sigmoid
from inference_service.engine.choice import PROBABILITY_TOLERANCE, RuntimeRefused, choose_runtime
from inference_service.engine.network import as_timm, load_network
from inference_service.engine.openvino_runtime import OpenVinoRuntime
from inference_service.engine.runtime import RuntimeOutput
from inference_service.engine.screening import ImageScore, ScreeningEngine
from inference_service.engine.torch_runtime import TorchRuntime

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
    monkeypatch.setattr(openvino_runtime, "_computes_in_bfloat16", lambda: False)


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("timm_name", ["test_efficientnet", "test_resnet", "test_byobnet"])
def test_logits_and_maps_are_those_of_pytorch(tmp_path: Path, timm_name: str) -> None:
    bundle = write_untrained(tmp_path / "bundle", timm_name=timm_name, size_px=96)
    expected = TorchRuntime(decided(bundle), bundle.manifest, device="cpu").infer(patterns(3))
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


def test_an_image_scores_the_same_to_the_last_bit_alone_again_and_in_company(small_bundle: Bundle) -> None:
    runtime = choose_runtime(decided(small_bundle), small_bundle.manifest, device="cpu", runtime="openvino")
    batch = patterns(5)
    together = runtime.infer(batch)
    assert len(set(together.logits_n.tolist())) == 5, "images that score alike prove nothing"
    for _ in range(3):
        for place in range(5):
            alone = runtime.infer(batch[place : place + 1])
            assert np.array_equal(alone.logits_n[0], together.logits_n[place])
            assert np.array_equal(alone.cams_nyx[0], together.cams_nyx[place])


def test_the_engine_serves_with_it_and_holds_no_second_copy(small_bundle: Bundle) -> None:
    engine = ScreeningEngine.from_bundle(small_bundle, device="cpu", runtime="auto")
    assert engine.runtime_description.startswith("openvino ")
    engine.warm_up(small_bundle, max_batch_size=8)
    assert all(isinstance(outcome, ImageScore) for outcome in engine.screen(list(patterns(2))))
    model = decided(small_bundle)
    seen = weakref.ref(model)
    runtime = choose_runtime(model, small_bundle.manifest, device="cpu")
    expected = runtime.infer(patterns(1))
    del model
    gc.collect()
    assert seen() is None
    assert np.array_equal(runtime.infer(patterns(1)).logits_n, expected.logits_n)


def shifted(by: float) -> Callable[[OpenVinoRuntime, Images], RuntimeOutput]:
    """OpenVINO's numbers with the probability of the last image wrong by so much."""
    infer = OpenVinoRuntime.infer

    def infer_shifted(self: OpenVinoRuntime, batch_ncyx: Images) -> RuntimeOutput:
        output = infer(self, batch_ncyx)
        logits_n = output.logits_n.copy()
        probability = sigmoid(logits_n)[-1] + by
        logits_n[-1] = np.log(probability / (1 - probability))
        return RuntimeOutput(logits_n, output.cams_nyx)

    return infer_shifted


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize(
    ("by", "serves"),
    [(0.9 * PROBABILITY_TOLERANCE, "openvino"), (1.1 * PROBABILITY_TOLERANCE, "torch"), (float("nan"), "torch")],
)
def test_auto_serves_with_pytorch_where_probabilities_differ(
    small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, by: float, serves: str
) -> None:
    monkeypatch.setattr(OpenVinoRuntime, "infer", shifted(by))
    with caplog.at_level(logging.WARNING, logger=choice.__name__):
        runtime = choose_runtime(load_network(small_bundle), small_bundle.manifest, device="cpu")
    assert runtime.description.split()[0] == serves
    reasons = [str(vars(record)["reason"]) for record in caplog.records]
    assert [reason.startswith("probabilities differ by") for reason in reasons] == [True] * (serves == "torch")


def test_openvino_by_name_is_refused_where_probabilities_differ(
    small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpenVinoRuntime, "infer", shifted(0.1))
    with pytest.raises(RuntimeRefused, match="probabilities differ by"):
        choose_runtime(load_network(small_bundle), small_bundle.manifest, device="cpu", runtime="openvino")


def test_the_check_sees_what_calibration_makes_of_a_difference(small_bundle: Bundle) -> None:
    steep = small_bundle.manifest.calibration.model_copy(update={"temperature": 0.05})
    manifest: BundleManifest = small_bundle.manifest.model_copy(update={"calibration": steep})
    maps = np.zeros((1, 3, 3), np.float32)
    one, other = (RuntimeOutput(np.array([logit], np.float32), maps) for logit in (0.0, 0.01))
    assert choice.probability_difference(one, other, small_bundle.manifest) < PROBABILITY_TOLERANCE
    assert choice.probability_difference(one, other, manifest) > PROBABILITY_TOLERANCE


def test_any_other_head_stays_on_pytorch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bundle = write_untrained(tmp_path / "bundle", timm_name="test_convnext", size_px=96)
    with caplog.at_level(logging.WARNING, logger=choice.__name__):
        runtime = choose_runtime(load_network(bundle), bundle.manifest, device="cpu")
    assert isinstance(runtime, TorchRuntime)
    assert [vars(record)["reason"] for record in caplog.records] == [
        "the head of the network is not pooling and one linear layer"
    ]


def test_a_network_that_cannot_be_converted_stays_on_pytorch(
    small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such\noperation")

    monkeypatch.setattr(torch.jit, "trace", fail)
    with caplog.at_level(logging.WARNING, logger=choice.__name__):
        runtime = choose_runtime(load_network(small_bundle), small_bundle.manifest, device="cpu")
    assert isinstance(runtime, TorchRuntime)
    assert [vars(record)["reason"] for record in caplog.records] == [
        "the network cannot be converted: no such operation"
    ]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("flags : fpu avx512f avx512_bf16", True), ("flags : amx_bf16", True), ("flags : avx512f", False), (None, False)],
)
def test_bfloat16_is_for_processors_that_compute_in_it(tmp_path: Path, flags: str | None, *, expected: bool) -> None:
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(flags)
    assert openvino_runtime._computes_in_bfloat16(tmp_path / "cpuinfo") is expected


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
