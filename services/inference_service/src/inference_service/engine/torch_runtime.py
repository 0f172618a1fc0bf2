"""The network on PyTorch."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from inference_service.bundles.manifest import BundleManifest
from inference_service.cores import available_cores
from inference_service.engine.explanation import Explainer, choose_explainer
from inference_service.engine.normalization import affine
from inference_service.engine.runtime import RuntimeName, RuntimeOutput

_IMAGES_AT_ONCE = {"cpu": 1, "cuda": 8}
"""Every forward pass has this many images, blank ones where a batch has fewer.

The arithmetic of PyTorch's libraries depends on the shape: of a batch of two, EfficientNet-B4's maps differ in the last
bits from those of each image alone. With one shape, an image's numbers do not depend on its neighbours.

CPU: one by one costs little at full size (EfficientNet-B4 in float32 at 380 px on 2 busy cores: 350 ms an image, in
fours 405 ms) and more with small images (at 128 px 167 ms against 58 ms, most of it threads that wait for each other).
CUDA: not measured. A GPU takes eight such images in about the time that launching the kernels for one takes.
"""


class TorchRuntime:
    """Runs a timm network. Only one thread may call it at a time."""

    def __init__(
        self, model: nn.Module, manifest: BundleManifest, *, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        """Move the network to its device.

        Args:
            model: float32, in evaluation mode; changed in place.
            manifest: of the same bundle.
            device: `cpu` or `cuda`.
            dtype: `float32` or `bfloat16`, in which the network computes up to its last feature map.

        Raises:
            UnexplainableNetwork: there is no Grad-CAM for this architecture.
        """
        self._device, self._dtype = device, dtype
        if device.type == "cpu":
            torch.set_num_threads(available_cores())
        else:
            torch.backends.fp32_precision = "ieee"  # type: ignore[attr-defined]  # the stub leaves it out; float32 is not to be TF32
            torch.backends.cudnn.deterministic = True
        self._channels = manifest.architecture.input_channels
        model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stub leaves memory_format out
        # Chosen in float32, in which a head can be told apart by its numbers.
        self._explain = choose_explainer(model, input_channels=self._channels, size_px=manifest.image.size_px)
        model.to(dtype=dtype)
        self._scale_c, self._shift_c = (self._per_channel(values) for values in affine(manifest))

    @property
    def explainer(self) -> Explainer:
        """The network with its maps, on the device."""
        return self._explain

    @property
    def name(self) -> RuntimeName:
        """See `Runtime`."""
        return "torch-bfloat16" if self._dtype == torch.bfloat16 else "torch-float32"

    @property
    def description(self) -> str:
        """See `Runtime`."""
        return f"torch {torch.__version__} {self._device.type} {str(self._dtype).removeprefix('torch.')}"

    def infer(self, batch_ncyx: npt.NDArray[np.uint8]) -> RuntimeOutput:
        """Expand, normalise and run a batch; see `Runtime`."""
        count, at_once = len(batch_ncyx), _IMAGES_AT_ONCE[self._device.type]
        blank = np.zeros((-count % at_once, *batch_ncyx.shape[1:]), np.uint8)
        parts = torch.split(torch.from_numpy(np.concatenate([batch_ncyx, blank])), at_once)
        outputs = [self._explain(self._normalise(part)) for part in parts]
        return RuntimeOutput(
            torch.cat([logits for logits, _ in outputs])[:count].cpu().numpy(),
            torch.cat([maps for _, maps in outputs])[:count].cpu().numpy(),
        )

    def _normalise(self, batch_ncyx: Tensor) -> Tensor:
        if self._device.type == "cuda":
            batch_ncyx = batch_ncyx.pin_memory().to(self._device, non_blocking=True)
        batch_nchw = batch_ncyx.to(torch.float32).expand(-1, self._channels, -1, -1)
        batch_nchw = batch_nchw * self._scale_c + self._shift_c
        return batch_nchw.to(self._dtype).contiguous(memory_format=torch.channels_last)

    def _per_channel(self, values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._device).view(1, -1, 1, 1)
