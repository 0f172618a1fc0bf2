"""Grad-CAM by a backward pass, for heads that have no closed form."""

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import RawScoresOutputTarget
from torch import Tensor, nn

from inference_service.engine.network import as_timm


class GradCamExplainer:
    """For any other head on a feature map: pytorch-grad-cam, one forward pass, and one backward pass of the head."""

    def __init__(self, model: nn.Module, features: Tensor) -> None:
        split = _Split(model)
        channels = getattr(model, "num_features", features.shape[1])
        channels_last = features.shape[1] != channels and features.shape[3] == channels
        self._stage = split.features
        reshape = _channels_first if channels_last else Tensor.float  # to float32, which NumPy needs
        self._grad_cam = GradCAM(split, [split.features], reshape_transform=reshape)

    def __call__(self, batch_nchw: Tensor) -> tuple[Tensor, Tensor]:
        """See `Explainer`."""
        targets = [RawScoresOutputTarget()] * len(batch_nchw)
        self._grad_cam(batch_nchw, targets)
        taken = self._grad_cam.activations_and_grads
        maps = self._grad_cam.get_cam_image(
            batch_nchw, self._stage, targets, taken.activations[0].numpy(), taken.gradients[0].numpy()
        )
        logits: Tensor = self._grad_cam.outputs.detach()[:, 0].float()
        return logits, torch.from_numpy(np.maximum(maps, 0.0).astype(np.float32))


class _Split(nn.Module):
    """The network in two stages, so that the last feature map is the output of a module that can be hooked."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.features = _Features(model)
        self._network = as_timm(model)

    def forward(self, batch_nchw: Tensor) -> Tensor:
        return self._network.forward_head(self.features(batch_nchw))


class _Features(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch_nchw: Tensor) -> Tensor:
        # The gradient is wanted with respect to the features, and so goes back no further than through the head.
        with torch.no_grad():
            features = as_timm(self.model).forward_features(batch_nchw)
        return features.requires_grad_()


def _channels_first(features_nhwc: Tensor) -> Tensor:
    return features_nhwc.permute(0, 3, 1, 2).float()
