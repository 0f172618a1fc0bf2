"""The network as it starts: timm's, from scratch, with the two changes that let an EfficientNet start to learn."""

import torch
from torch import nn

from inference_service.engine.network import as_timm, create_network

_HEAD_STD = 0.01


def new_network(timm_name: str, channels: int, seed: int) -> nn.Module:
    """A network with one logit, ready to be trained.

    The last normalisation of every residual block starts at zero, so that each block starts as the identity
    (Goyal et al. 2017, section 5.1). The head starts small: timm's own start for a single logit gives first losses far
    above ln 2.
    """
    torch.manual_seed(seed)
    model = create_network(timm_name, input_channels=channels)
    for block in model.modules():
        last = getattr(block, "bn3", None)
        if isinstance(last, nn.BatchNorm2d) and getattr(block, "has_skip", False):
            nn.init.zeros_(last.weight)
    for parameter in as_timm(model).get_classifier().parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=_HEAD_STD)
        else:
            nn.init.zeros_(parameter)
    return model


def normalized(images_ncyx: torch.Tensor, mean: float, std: float) -> torch.Tensor:
    """uint8 (n, c, y, x) to what the network takes, as the serving runtime does it."""
    return (images_ncyx.float() / 255.0 - mean) / std
