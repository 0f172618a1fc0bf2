"""timm networks of one logit: making one, and filling it from a bundle."""

from typing import Protocol, cast

import timm
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from inference_service.bundles.errors import BundleError
from inference_service.bundles.loading import Bundle
from inference_service.bundles.manifest import MANIFEST_FILE, WEIGHTS_FILE


class TimmNetwork(Protocol):
    """What every timm classifier offers, beside being a Module."""

    def forward_features(self, x: Tensor) -> Tensor:
        """The last feature map."""

    def forward_head(self, x: Tensor) -> Tensor:
        """Logits (n, 1) from the last feature map."""

    def get_classifier(self) -> nn.Module:
        """The last module."""


def create_network(timm_name: str, *, input_channels: int) -> nn.Module:
    """An untrained timm network with one logit, in evaluation mode.

    Raises:
        ValueError: timm has no such architecture.
    """
    if not timm.is_model(timm_name):
        raise ValueError(f"timm has no architecture {timm_name}")
    model = timm.create_model(timm_name, pretrained=False, num_classes=1, in_chans=input_channels)
    return model.eval()


def as_timm(model: nn.Module) -> TimmNetwork:
    """The same object, seen as a timm classifier."""
    return cast("TimmNetwork", model)


def load_network(bundle: Bundle) -> nn.Module:
    """The network of a bundle with its weights in float32, in evaluation mode.

    Raises:
        BundleError: no such architecture, or weights that are damaged or belong to another one.
    """
    architecture = bundle.manifest.architecture
    try:
        model = create_network(architecture.timm_name, input_channels=architecture.input_channels)
    except ValueError as error:
        raise BundleError(bundle.directory / MANIFEST_FILE, f"architecture.timm_name: {error}") from error
    path = bundle.directory / WEIGHTS_FILE
    try:
        model.load_state_dict(load(bundle.weights))
    except SafetensorError as error:
        raise BundleError(path, f"is not a safetensors file: {error}") from error
    except RuntimeError as error:  # what load_state_dict raises, with the names that do not fit
        faults = " ".join(str(error).split())
        raise BundleError(path, f"does not fit {architecture.timm_name}: {faults[:500]}") from error
    return model.float()
