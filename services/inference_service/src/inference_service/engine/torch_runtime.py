"""The network on PyTorch: float32 on a CPU, bfloat16 on a CUDA device."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from inference_service.bundles.manifest import BundleManifest
from inference_service.cores import available_cores
from inference_service.engine.explanation import Explainer, choose_explainer
from inference_service.engine.normalization import affine
from inference_service.engine.runtime import RuntimeOutput

DeviceChoice = Literal["auto", "cpu", "cuda"]

_CPU_SLICE = 4
"""Images at once on a CPU: on 2 cores EfficientNet-B4 takes 100 ms an image in fours and 137 ms in eights, whose
feature maps no longer stay in the cache."""


class TorchRuntime:
    """Runs a timm network. Only one thread may call it at a time."""

    def __init__(self, model: nn.Module, manifest: BundleManifest, *, device: DeviceChoice = "auto") -> None:
        """Move the network to its device.

        Args:
            model: in evaluation mode; changed in place.
            manifest: of the same bundle.
            device: `auto` takes CUDA where there is one.

        Raises:
            UnexplainableNetwork: there is no Grad-CAM for this architecture.
            RuntimeError: `cuda` was asked for and is not there.
        """
        cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
        self._device = torch.device("cuda" if cuda else "cpu")
        self._dtype = torch.bfloat16 if cuda else torch.float32
        if not cuda:
            torch.set_num_threads(available_cores())
        self._channels = manifest.architecture.input_channels
        model = model.to(device=self._device, dtype=self._dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stub leaves memory_format out
        self._explain = choose_explainer(model, input_channels=self._channels, size_px=manifest.image.size_px)
        self._scale_c, self._shift_c = (self._per_channel(values) for values in affine(manifest))

    @property
    def on_cpu(self) -> bool:
        """Whether it computes on the CPU, in float32."""
        return self._device.type == "cpu"

    @property
    def explainer(self) -> Explainer:
        """The network with its maps, on the device."""
        return self._explain

    @property
    def name(self) -> str:
        """Machine-readable name; see `Runtime`."""
        return f"torch-{str(self._dtype).removeprefix('torch.')}"

    @property
    def description(self) -> str:
        """Library, device and precision."""
        return f"torch {torch.__version__} {self._device.type} {str(self._dtype).removeprefix('torch.')}"

    def shapes_up_to(self, max_batch_size: int) -> Sequence[int]:
        """Numbers of images at once; see `Runtime`."""
        return range(1, 1 + (min(max_batch_size, _CPU_SLICE) if self._device.type == "cpu" else max_batch_size))

    def infer(self, batch_ncyx: npt.NDArray[np.uint8]) -> RuntimeOutput:
        """Expand, normalise and run a batch; see `Runtime`."""
        batch = torch.from_numpy(batch_ncyx)
        slices = torch.split(batch, _CPU_SLICE) if self._device.type == "cpu" else (batch,)
        outputs = [self._explain(self._normalise(part)) for part in slices]
        return RuntimeOutput(
            torch.cat([logits for logits, _ in outputs]).cpu().numpy(),
            torch.cat([maps for _, maps in outputs]).cpu().numpy(),
        )

    def _normalise(self, batch_ncyx: Tensor) -> Tensor:
        if self._device.type == "cuda":
            batch_ncyx = batch_ncyx.pin_memory().to(self._device, non_blocking=True)
        batch_nchw = batch_ncyx.to(torch.float32).expand(-1, self._channels, -1, -1)
        batch_nchw = batch_nchw * self._scale_c + self._shift_c
        return batch_nchw.to(self._dtype).contiguous(memory_format=torch.channels_last)

    def _per_channel(self, values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._device).view(1, -1, 1, 1)
