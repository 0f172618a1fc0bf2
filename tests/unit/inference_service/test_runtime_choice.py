"""The fastest runtime that agrees with float32 PyTorch serves, and what is asked for by name is had or refused."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from inference_service.bundles import Bundle
from inference_service.bundles.manifest import BundleManifest
from inference_service.engine import choice, openvino_runtime, torch_runtime
from inference_service.engine.calibration import sigmoid
from inference_service.engine.choice import PROBABILITY_TOLERANCE, RuntimeRefused, choose_runtime
from inference_service.engine.network import load_network
from inference_service.engine.openvino_runtime import OpenVinoRuntime
from inference_service.engine.runtime import Runtime, RuntimeChoice, RuntimeName, RuntimeOutput
from inference_service.engine.torch_runtime import TorchRuntime
from support.untrained import write_untrained

Images = npt.NDArray[np.uint8]


def choose(bundle: Bundle, runtime: RuntimeChoice = "auto") -> Runtime:
    return choose_runtime(load_network(bundle), bundle.manifest, device="cpu", runtime=runtime)


def refusals(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    lines = [vars(record) for record in caplog.records if record.levelno == logging.WARNING]
    return [(line["runtime"], line["reason"]) for line in lines]


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=choice.__name__)


@pytest.fixture
def with_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO emulates it where the processor does not compute in it."""
    monkeypatch.setattr(choice, "computes_in_bfloat16", lambda: True)


@pytest.fixture
def without_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "computes_in_bfloat16", lambda: False)


@pytest.mark.usefixtures("with_bfloat16")
@pytest.mark.parametrize("fastest", ["openvino-bfloat16", "openvino-float32", "torch-float32"])
def test_auto_serves_with_the_fastest_that_agrees(
    small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, fastest: str
) -> None:
    timed: list[str] = []

    def image_s(runtime: Runtime, _: Images) -> float:
        timed.append(runtime.name)
        return 0.1 if runtime.name == fastest else 0.2

    monkeypatch.setattr(choice, "_image_s", image_s)
    assert choose(small_bundle).name == fastest
    assert timed == ["openvino-bfloat16", "openvino-float32", "torch-float32"]


@pytest.mark.usefixtures("with_bfloat16")
def test_what_each_candidate_takes_is_logged(small_bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    served = choose(small_bundle)
    lines = [vars(record) for record in caplog.records if record.message == "runtime timed"]
    image_ms = {line["runtime"]: line["image_ms"] for line in lines}
    assert list(image_ms) == ["openvino-bfloat16", "openvino-float32", "torch-float32"]
    assert image_ms[served.name] == min(image_ms.values())


@pytest.mark.usefixtures("with_bfloat16")
@pytest.mark.parametrize("name", ["openvino-bfloat16", "openvino-float32", "torch-float32"])
def test_the_runtime_that_a_report_names_can_be_asked_for(small_bundle: Bundle, name: RuntimeName) -> None:
    runtime = choose(small_bundle, name)
    library, _version, device, precision = runtime.description.split()
    assert runtime.name == name == f"{library}-{precision}"
    assert device == "cpu"


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


@pytest.mark.usefixtures("without_bfloat16")
@pytest.mark.parametrize(
    ("by", "agrees"),
    [(0.9 * PROBABILITY_TOLERANCE, True), (1.1 * PROBABILITY_TOLERANCE, False), (float("nan"), False)],
)
def test_a_runtime_whose_probabilities_differ_does_not_serve(
    small_bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    by: float,
    *,
    agrees: bool,
) -> None:
    monkeypatch.setattr(OpenVinoRuntime, "infer", shifted(by))
    monkeypatch.setattr(choice, "_image_s", lambda runtime, _: float(runtime.name == "torch-float32"))
    assert choose(small_bundle).name == ("openvino-float32" if agrees else "torch-float32")
    bfloat16, *others = refusals(caplog)
    assert bfloat16 == ("openvino-bfloat16", "the processor does not compute in bfloat16")
    assert [(name, reason.split(" by ")[0]) for name, reason in others] == [
        ("openvino-float32", "probabilities differ")
    ] * (not agrees)


@pytest.mark.usefixtures("without_bfloat16")
def test_a_library_by_name_is_refused_with_every_reason(small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenVinoRuntime, "infer", shifted(0.1))
    with pytest.raises(RuntimeRefused) as refused:
        choose(small_bundle, "openvino")
    assert str(refused.value) == (
        "openvino-bfloat16: the processor does not compute in bfloat16; "
        "openvino-float32: probabilities differ by 0.1, more than 0.005"
    )


def test_a_runtime_that_the_device_does_not_offer_is_refused(small_bundle: Bundle) -> None:
    with pytest.raises(RuntimeRefused, match="the device is cpu, which offers openvino-bfloat16, openvino-float32, t"):
        choose(small_bundle, "torch-bfloat16")


def test_cuda_is_refused_where_there_is_none(small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeRefused, match="there is no CUDA device"):
        choose_runtime(load_network(small_bundle), small_bundle.manifest, device="cuda")


def test_the_check_sees_what_calibration_makes_of_a_difference(small_bundle: Bundle) -> None:
    steep = small_bundle.manifest.calibration.model_copy(update={"temperature": 0.05})
    manifest: BundleManifest = small_bundle.manifest.model_copy(update={"calibration": steep})
    maps = np.zeros((1, 3, 3), np.float32)
    one, other = (RuntimeOutput(np.array([logit], np.float32), maps) for logit in (0.0, 0.01))
    assert choice.probability_difference(one, other, small_bundle.manifest) < PROBABILITY_TOLERANCE
    assert choice.probability_difference(one, other, manifest) > PROBABILITY_TOLERANCE


@pytest.mark.usefixtures("with_bfloat16")
def test_any_other_head_stays_on_pytorch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bundle = write_untrained(tmp_path / "bundle", timm_name="test_convnext", size_px=96)
    assert isinstance(choose(bundle), TorchRuntime)
    reason = "the head of the network is not pooling and one linear layer"
    assert refusals(caplog) == [("openvino-bfloat16", reason), ("openvino-float32", reason)]


@pytest.mark.usefixtures("with_bfloat16")
def test_a_network_that_cannot_be_converted_stays_on_pytorch(
    small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[Any] = []

    def fail(*arguments: Any, **_: Any) -> None:
        tries.append(arguments)
        raise RuntimeError("no such\noperation")

    monkeypatch.setattr(torch.jit, "trace", fail)
    assert isinstance(choose(small_bundle), TorchRuntime)
    reason = "the network cannot be converted: no such operation"
    assert refusals(caplog) == [("openvino-bfloat16", reason), ("openvino-float32", reason)]
    assert len(tries) == 1


@pytest.mark.parametrize("cores", [1, 2])
def test_both_libraries_use_the_cores_that_the_container_has(
    small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    threads = torch.get_num_threads()
    for module in (openvino_runtime, torch_runtime):
        monkeypatch.setattr(module, "available_cores", lambda: cores)
    try:
        runtime = choose(small_bundle, "openvino-float32")
        assert torch.get_num_threads() == cores
    finally:
        torch.set_num_threads(threads)
    assert isinstance(runtime, OpenVinoRuntime)
    compiled = runtime._request.get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == cores
    assert compiled.get_property("NUM_STREAMS") == 1
    assert runtime._streams == cores
