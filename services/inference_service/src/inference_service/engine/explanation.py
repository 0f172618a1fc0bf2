"""Grad-CAM (Selvaraju et al. 2017) of the one logit with respect to the last feature map."""

from typing import Protocol

import torch
from torch import Tensor, nn

from inference_service.engine.network import as_timm

_PROBE_TOLERANCE = 1e-4


class UnexplainableNetwork(ValueError):
    """The network has no last feature map of rows and columns."""


class Explainer(Protocol):
    """Logits and maps of a batch."""

    def __call__(self, batch_nchw: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n,) and Grad-CAM maps (n, h, w), not negative, both float32, from a normalised batch."""


def choose_explainer(model: nn.Module, *, input_channels: int, size_px: int) -> Explainer:
    """The closed form where the head allows it, else pytorch-grad-cam.

    Raises:
        UnexplainableNetwork: the last features are no map, as in a network of tokens, or the network cannot take
            inputs of this size.
    """
    device = next(model.parameters()).device
    dtype = next(model.parameters()).dtype
    with torch.no_grad():
        probe = torch.zeros(1, input_channels, size_px, size_px, device=device, dtype=dtype)
        try:
            features = as_timm(model).forward_features(probe)
        except (AssertionError, RuntimeError) as error:
            raise UnexplainableNetwork(f"the network does not take inputs of {size_px} px: {error}") from error
    if features.dim() != 4:
        raise UnexplainableNetwork(f"the last features have {features.dim()} dimensions, not 4")
    head = linear_head(model, features)
    if head is not None:
        return ClosedFormExplainer(model, head)
    # Costs every process a second and 80 MB, and few networks need it.
    from inference_service.engine.backward_explanation import GradCamExplainer  # noqa: PLC0415  # as just said

    return GradCamExplainer(model, features)


def linear_head(model: nn.Module, features_nchw: Tensor) -> nn.Linear | None:
    """The last linear layer, if the head is proved to be global average pooling and that layer, and nothing else.

    The proof is by trial, not by name: random feature maps go through the head and through mean and linear layer.
    """
    last = as_timm(model).get_classifier()
    if not isinstance(last, nn.Linear) or last.out_features != 1 or last.in_features != features_nchw.shape[1]:
        return None
    generator = torch.Generator().manual_seed(0)
    shape = (4, *features_nchw.shape[1:])
    probe = torch.randn(shape, generator=generator).to(features_nchw)
    with torch.no_grad():
        by_head = as_timm(model).forward_head(probe)
        by_hand = last(probe.mean(dim=(2, 3)))
    close = by_head.shape == by_hand.shape and torch.allclose(
        by_head.float(), by_hand.float(), rtol=_PROBE_TOLERANCE, atol=_PROBE_TOLERANCE * float(by_hand.abs().max())
    )
    return last if close else None


class ClosedFormExplainer:
    """For global average pooling and one linear layer with weights w on a map A of H times W cells.

    The gradient of the logit with respect to each A_k is w_k / (H W) everywhere, so Grad-CAM's channel weight is that,
    and the map is ReLU(sum_k w_k A_k) / (H W): no backward pass, no hooks.
    """

    def __init__(self, model: nn.Module, head: nn.Linear) -> None:
        self.network = model
        # In float32, whatever precision the network is moved to.
        self._weights_c11 = head.weight.detach()[0].float().clone()[:, None, None]
        bias = dict(head.named_parameters()).get("bias")
        self._bias = 0.0 if bias is None else float(bias.detach())

    def __call__(self, batch_nchw: Tensor) -> tuple[Tensor, Tensor]:
        """See `Explainer`."""
        with torch.inference_mode():
            return self.compute(batch_nchw)

    def compute(self, batch_nchw: Tensor) -> tuple[Tensor, Tensor]:
        """The same in the caller's gradient mode, to be traced."""
        features = as_timm(self.network).forward_features(batch_nchw).float()
        # The logit is the mean of what the map shows. Written as products and sums, not as a linear layer, OpenVINO
        # computes this part in float32 in any precision: a logit in bfloat16 has 8 bits.
        evidence = (features * self._weights_c11).sum(dim=1)
        cells = features.shape[2] * features.shape[3]
        return evidence.mean(dim=(1, 2)) + self._bias, evidence.relu() / cells
