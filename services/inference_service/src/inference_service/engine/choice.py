"""Which runtime serves a network."""

import logging
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import nn

from inference_service.bundles.manifest import BundleManifest
from inference_service.engine.calibration import calibrate, sigmoid
from inference_service.engine.explanation import ClosedFormExplainer
from inference_service.engine.openvino_runtime import OpenVinoRuntime, UnconvertibleNetwork
from inference_service.engine.runtime import Runtime, RuntimeOutput
from inference_service.engine.torch_runtime import DeviceChoice, TorchRuntime

RuntimeChoice = Literal["auto", "torch", "openvino"]

PROBABILITY_TOLERANCE = 5e-3
"""Largest difference in probability to float32 PyTorch."""

_log = logging.getLogger(__name__)


class RuntimeRefused(RuntimeError):
    """OpenVINO was asked for and cannot serve this network here."""


def choose_runtime(
    model: nn.Module, manifest: BundleManifest, *, device: DeviceChoice = "auto", runtime: RuntimeChoice = "auto"
) -> Runtime:
    """Load a network into the runtime that is to serve it.

    Args:
        model: in evaluation mode; changed in place.
        manifest: of the same bundle.
        device: where PyTorch computes; OpenVINO computes on the CPU only.
        runtime: `auto` takes OpenVINO where PyTorch would compute on the CPU and the two agree, else PyTorch, and logs
            why.

    Raises:
        UnexplainableNetwork: there is no Grad-CAM for this architecture.
        RuntimeRefused: `openvino` was asked for and cannot be had.
    """
    reference = TorchRuntime(model, manifest, device=device)
    if runtime == "torch" or (runtime == "auto" and not reference.on_cpu):
        return reference
    try:
        return _openvino_like(reference, manifest)
    except RuntimeRefused as refusal:
        if runtime == "openvino":
            raise
        _log.warning("PyTorch serves, not OpenVINO", extra={"reason": str(refusal)})
        return reference


def _openvino_like(reference: TorchRuntime, manifest: BundleManifest) -> OpenVinoRuntime:
    """OpenVINO, shown to give what the reference gives."""
    if not reference.on_cpu:
        raise RuntimeRefused("OpenVINO computes on the CPU, and the device is CUDA")
    if not isinstance(reference.explainer, ClosedFormExplainer):
        raise RuntimeRefused("the head of the network is not pooling and one linear layer")
    try:
        candidate = OpenVinoRuntime(reference.explainer, manifest)
    except UnconvertibleNetwork as error:
        raise RuntimeRefused(f"the network cannot be converted: {error}") from error
    images = _check_images(manifest)
    difference = probability_difference(candidate.infer(images), reference.infer(images), manifest)
    if not difference <= PROBABILITY_TOLERANCE:  # so that nan is refused
        raise RuntimeRefused(f"probabilities differ by {difference:.2g}, more than {PROBABILITY_TOLERANCE:.2g}")
    return candidate


def probability_difference(one: RuntimeOutput, other: RuntimeOutput, manifest: BundleManifest) -> float:
    """Largest absolute difference of raw and of calibrated probabilities; nan where any number is not finite."""
    if not all(np.isfinite(numbers).all() for each in (one, other) for numbers in (each.logits_n, each.cams_nyx)):
        return float("nan")
    raw = np.abs(sigmoid(one.logits_n) - sigmoid(other.logits_n))
    calibrated = np.abs(calibrate(one.logits_n, manifest.calibration) - calibrate(other.logits_n, manifest.calibration))
    return float(max(raw.max(), calibrated.max()))


def _check_images(manifest: BundleManifest) -> npt.NDArray[np.uint8]:
    """A blank image, a bright disc on black, and a coarse pattern that differs between channels; always the same."""
    channels, rows, columns = manifest.image.shape_cyx
    y, x = np.mgrid[0:rows, 0:columns]
    disc = np.hypot(y - rows / 2, x - columns / 2) < rows / 3
    cells = np.random.default_rng(0).integers(0, 256, (channels, 8, 8), np.uint8)
    images = np.zeros((3, channels, rows, columns), np.uint8)
    images[1] = np.where(disc, 160, 0)
    images[2] = cells[:, y * 8 // rows, x * 8 // columns]
    return images
