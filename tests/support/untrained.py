"""A bundle with seeded random weights, so that the whole product runs before a trained model exists.

Its label, which every report shows, is `untrained`. The same seed gives the same digest: weights come from NumPy's
PCG64, and the scale of each normalisation layer is the power of two nearest to what was measured, which the rounding
of another machine's arithmetic does not move.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from inference_service.bundles.loading import Bundle
from inference_service.bundles.writing import write_bundle
from inference_service.engine.network import as_timm, create_network

Float32ByName = dict[str, npt.NDArray[np.float32]]

VERSION = "0.1.0"
_HE_GAIN = 2.0
_HEAD_GAIN = 0.16
_SETTLE_PX = 192
"""Large enough for every layer to see several cells, and quicker than the full input."""
_HEAD_BIAS = -1.9
"""With the head's gain, gives head phantoms logits of about -2 to 2 for seed 0."""


def describe_untrained(*, timm_name: str, size_px: int, seed: int) -> dict[str, Any]:
    """The content of `bundle.yaml`, without the weights."""
    return {
        "format_version": 1,
        "name": "head-ct-haemorrhage",
        "version": VERSION,
        "label": "untrained",
        "finding": "intracranial haemorrhage",
        "intended_use": (
            "Shows how Radrelay works. The weights are random: its results mean nothing. Not for clinical use."
        ),
        "architecture": {"timm_name": timm_name, "input_channels": 3},
        "image": {
            "size_px": size_px,
            "accepts": {"modalities": ["CT"], "sop_class_uids": [], "body_parts": []},
            "channels": {
                "kind": "ct_windows",
                "windows": [
                    {"name": "brain", "center_hu": 40.0, "width_hu": 80.0},
                    {"name": "subdural", "center_hu": 80.0, "width_hu": 200.0},
                    {"name": "bone", "center_hu": 600.0, "width_hu": 2800.0},
                ],
            },
        },
        "normalization": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
        "calibration": {"temperature": 1.0},
        "thresholds": {"positive": 0.5, "urgent": 0.5, "stat": 0.8},
        "provenance": {"data": "none", "method": "random weights", "code_version": VERSION, "seed": seed},
    }


def write_untrained(
    directory: Path, *, seed: int = 0, timm_name: str = "efficientnet_b4", size_px: int = 380
) -> Bundle:
    """Write a bundle with random weights of any timm architecture of one logit to `directory`."""
    tensors = _settle(timm_name, _random_weights(timm_name, seed), seed, size_px=min(size_px, _SETTLE_PX))
    return write_bundle(directory, describe_untrained(timm_name=timm_name, size_px=size_px, seed=seed), tensors)


def _random_weights(timm_name: str, seed: int) -> Float32ByName:
    """He initialisation (He et al. 2015) by fan-in; biases zero, normalisation neutral, the head small."""
    with torch.device("meta"):
        model = create_network(timm_name, input_channels=3)
    head = {id(parameter) for parameter in as_timm(model).get_classifier().parameters()}
    parameters = {name: id(parameter) for name, parameter in model.named_parameters()}
    random = np.random.default_rng(seed)
    weights: Float32ByName = {}
    for name, tensor in model.state_dict().items():
        shape = tuple(tensor.shape)
        is_head = parameters.get(name) in head
        if len(shape) > 1:
            gain = _HEAD_GAIN if is_head else _HE_GAIN
            scale = math.sqrt(gain / math.prod(shape[1:]))
            weights[name] = random.standard_normal(shape, dtype=np.float32) * np.float32(scale)
        elif is_head:
            weights[name] = np.full(shape, _HEAD_BIAS, np.float32)
        elif name.endswith(("weight", "running_var")):
            weights[name] = np.ones(shape, np.float32)
        else:
            weights[name] = np.zeros(shape, np.float32)
    return weights


def _settle(timm_name: str, weights: Float32ByName, seed: int, *, size_px: int) -> dict[str, npt.NDArray[np.generic]]:
    """Give every batch normalisation the scale that keeps signals near one; the state in half precision."""
    model = create_network(timm_name, input_channels=3)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    coarse = np.random.default_rng(seed + 1000).random((8, 3, 6, 6), dtype=np.float32)
    patches_nchw = nn.functional.interpolate(torch.from_numpy(coarse), size=(size_px, size_px), mode="bilinear")
    with _measuring(model), torch.no_grad():
        model((((patches_nchw - 0.5) * 6.0 + 0.5).clamp(0, 1) - 0.5) / 0.25)
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).numpy()
        for name, tensor in model.state_dict().items()
    }


@contextmanager
def _measuring(model: nn.Module) -> Iterator[None]:
    def take_scale(layer: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        power = max(float(inputs[0].square().mean()), 1e-12)
        layer.running_var.fill_(2.0 ** round(math.log2(power)))  # type: ignore[union-attr]  # tracked in every timm net

    hooks = [
        layer.register_forward_pre_hook(take_scale) for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
