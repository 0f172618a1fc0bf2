"""The trained network as a bundle: half-precision weights, not calibrated yet."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from inference_service.bundles import Bundle
from inference_service.bundles.writing import write_bundle
from radrelay_training.plan import CHANNEL_MEAN, CHANNEL_STD, WINDOWS, Plan, image_spec

NAME = "head-ct-haemorrhage"
LABEL = "trained on synthetic phantoms, for demonstration, not for clinical use"
INTENDED_USE = (
    "Shows how Radrelay works. Trained on synthetic head-CT phantoms and never on patients: its results say nothing of"
    " a patient. Not for clinical use."
)


def describe(plan: Plan) -> dict[str, Any]:
    """The content of `bundle.yaml`, without the weights; its calibration changes nothing."""
    train = plan.train
    return {
        "format_version": 1,
        "name": NAME,
        "version": "1.0.0",
        "label": LABEL,
        "finding": "intracranial haemorrhage",
        "intended_use": INTENDED_USE,
        "architecture": {"timm_name": plan.timm_name, "input_channels": WINDOWS.count},
        "image": image_spec(plan.served_px).model_dump(mode="json"),
        "normalization": {"mean": [CHANNEL_MEAN] * WINDOWS.count, "std": [CHANNEL_STD] * WINDOWS.count},
        "calibration": {"temperature": 1.0},
        "thresholds": {"positive": 0.5, "urgent": 0.5, "stat": 0.9},
        "provenance": {
            "data": f"{train.count} synthetic head CTs, difficulty {plan.difficulty}, seeds from {train.first_seed}",
            "method": f"from scratch, float32, plan {plan.fingerprint()}",
            "code_version": version("radrelay-training"),
            "seed": plan.seed,
        },
    }


def write(plan: Plan, model: nn.Module, directory: Path) -> Bundle:
    """Write the bundle to `directory`, replacing what is there."""
    state = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).cpu().numpy()
        for name, tensor in model.state_dict().items()
    }
    return write_bundle(directory, describe(plan), state)
