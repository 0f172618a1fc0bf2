"""Which runtime serves a network."""

import logging
from collections.abc import Sequence
from copy import deepcopy
from functools import cached_property
from time import perf_counter

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from inference_service.bundles.manifest import BundleManifest
from inference_service.engine.calibration import calibrate, sigmoid
from inference_service.engine.explanation import ClosedFormExplainer
from inference_service.engine.openvino_runtime import (
    ConvertedNetwork,
    OpenVinoRuntime,
    UnconvertibleNetwork,
    computes_in_bfloat16,
    convert,
)
from inference_service.engine.runtime import DeviceChoice, Runtime, RuntimeChoice, RuntimeName, RuntimeOutput
from inference_service.engine.torch_runtime import TorchRuntime

PROBABILITY_TOLERANCE = 5e-3
"""Largest difference in probability to float32 PyTorch."""

_OFFERED: dict[str, Sequence[RuntimeName]] = {
    "cpu": ("openvino-bfloat16", "openvino-float32", "torch-float32"),
    "cuda": ("torch-bfloat16", "torch-float32"),
}
"""By kind of device, the one that is expected to be fastest first."""

_TIMED_RUNS = 3
_TIMING_S = 1.5
"""After so long no further run is started: slow candidates are told apart by one."""

Images = npt.NDArray[np.uint8]

_log = logging.getLogger(__name__)


class RuntimeRefused(RuntimeError):
    """The runtime or the device that was asked for cannot serve this network here."""


def choose_runtime(
    model: nn.Module, manifest: BundleManifest, *, device: DeviceChoice = "auto", runtime: RuntimeChoice = "auto"
) -> Runtime:
    """Load a network into the runtime that is to serve it.

    Each candidate is held to float32 PyTorch on the same device; the fastest of those that agree serves. Why one is
    refused, and what each of several that agree takes for an image, is logged.

    Args:
        model: float32, in evaluation mode; changed in place.
        manifest: of the same bundle.
        device: `auto` takes CUDA where there is one.
        runtime: the candidates. `auto`: all that the device offers, among them float32 PyTorch, which always passes.

    Raises:
        UnexplainableNetwork: there is no Grad-CAM for this architecture.
        RuntimeRefused: there is no CUDA, or none of the runtimes that were asked for can be had or agrees.
    """
    on = find_device(device)
    names = _meant_by(runtime, on)
    makers = _Makers(model, manifest, on)
    if names == [makers.reference.name]:
        return makers.reference
    images = _check_images(manifest)
    expected = makers.reference.infer(images)
    passed: list[Runtime] = []
    refusals: list[str] = []
    for name in names:
        try:
            candidate = makers.make(name)
            if candidate is not makers.reference:
                _check(candidate.infer(images), expected, manifest)
        except RuntimeRefused as refusal:
            _log.warning("runtime refused", extra={"runtime": name, "reason": str(refusal)})
            refusals.append(f"{name}: {refusal}")
        else:
            passed.append(candidate)
    if not passed:
        raise RuntimeRefused("; ".join(refusals))
    return passed[0] if len(passed) == 1 else min(passed, key=lambda each: _image_s(each, images))


def find_device(device: DeviceChoice) -> torch.device:
    """The device, without taking hold of it.

    Raises:
        RuntimeRefused: `cuda` was asked for and is not there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise RuntimeRefused("there is no CUDA device, or PyTorch was built without CUDA")
    return torch.device("cpu" if device == "cpu" or not torch.cuda.is_available() else "cuda")


def _check(given: RuntimeOutput, expected: RuntimeOutput, manifest: BundleManifest) -> None:
    difference = probability_difference(given, expected, manifest)
    if not difference <= PROBABILITY_TOLERANCE:  # so that nan is refused
        raise RuntimeRefused(f"probabilities differ by {difference:.2g}, more than {PROBABILITY_TOLERANCE:.2g}")


def probability_difference(one: RuntimeOutput, other: RuntimeOutput, manifest: BundleManifest) -> float:
    """Largest absolute difference of raw and of calibrated probabilities; nan where any number is not finite."""
    if not all(np.isfinite(numbers).all() for each in (one, other) for numbers in (each.logits_n, each.cams_nyx)):
        return float("nan")
    raw = np.abs(sigmoid(one.logits_n) - sigmoid(other.logits_n))
    calibrated = np.abs(calibrate(one.logits_n, manifest.calibration) - calibrate(other.logits_n, manifest.calibration))
    return float(max(raw.max(), calibrated.max()))


def _meant_by(runtime: RuntimeChoice, device: torch.device) -> list[RuntimeName]:
    offered = _OFFERED[device.type]
    names = [name for name in offered if runtime in {"auto", name, name.split("-")[0]}]
    if not names:
        raise RuntimeRefused(f"the device is {device.type}, which offers {', '.join(offered)}")
    return names


class _Makers:
    """Makes the candidates for one network on one device."""

    def __init__(self, model: nn.Module, manifest: BundleManifest, device: torch.device) -> None:
        self._model, self._manifest, self._device = model, manifest, device
        self.reference = TorchRuntime(model, manifest, device=device)

    def make(self, name: RuntimeName) -> Runtime:
        if name == self.reference.name:
            return self.reference
        if name == "torch-bfloat16":
            return TorchRuntime(deepcopy(self._model), self._manifest, device=self._device, dtype=torch.bfloat16)
        if name == "openvino-bfloat16" and not computes_in_bfloat16():
            raise RuntimeRefused("the processor does not compute in bfloat16")
        if isinstance(self._converted, str):
            raise RuntimeRefused(self._converted)
        return OpenVinoRuntime(self._converted, name)

    @cached_property
    def _converted(self) -> ConvertedNetwork | str:
        """For OpenVINO, once for all precisions; or why it cannot be had."""
        explainer = self.reference.explainer
        if not isinstance(explainer, ClosedFormExplainer):
            return "the head of the network is not pooling and one linear layer"
        try:
            return convert(explainer, self._manifest)
        except UnconvertibleNetwork as error:
            return f"the network cannot be converted: {error}"


def _image_s(runtime: Runtime, images: Images) -> float:
    """Seconds an image takes in a batch that has run before; the best run, since other work only ever adds."""
    runs_s: list[float] = []
    while len(runs_s) < _TIMED_RUNS and sum(runs_s) < _TIMING_S:
        started = perf_counter()
        runtime.infer(images)
        runs_s.append(perf_counter() - started)
    image_s = min(runs_s) / len(images)
    _log.info("runtime timed", extra={"runtime": runtime.name, "image_ms": round(image_s * 1000, 1)})
    return image_s


def _check_images(manifest: BundleManifest) -> Images:
    """A blank image, a bright disc, a coarse pattern that differs between channels, a ramp; always the same."""
    channels, rows, columns = manifest.image.shape_cyx
    y, x = np.mgrid[0:rows, 0:columns]
    disc = np.hypot(y - rows / 2, x - columns / 2) < rows / 3
    cells = np.random.default_rng(0).integers(0, 256, (channels, 8, 8), np.uint8)
    images = np.zeros((4, channels, rows, columns), np.uint8)
    images[1] = np.where(disc, 160, 0)
    images[2] = cells[:, y * 8 // rows, x * 8 // columns]
    images[3] = x * 255 // columns
    return images
