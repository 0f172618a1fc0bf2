"""What a runtime does for the engine."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

DeviceChoice = Literal["auto", "cpu", "cuda"]
RuntimeName = Literal["openvino-bfloat16", "openvino-float32", "torch-bfloat16", "torch-float32"]
"""Library and precision."""
RuntimeChoice = Literal[
    "auto", "openvino", "torch", "openvino-bfloat16", "openvino-float32", "torch-bfloat16", "torch-float32"
]
"""One runtime by its name, the fastest of a library, or the fastest of all."""


@dataclass(frozen=True, slots=True)
class RuntimeOutput:
    """Raw results of a batch."""

    logits_n: npt.NDArray[np.float32]
    cams_nyx: npt.NDArray[np.float32]
    """Grad-CAM maps over the whole square input, not negative, at feature-map resolution."""


class Runtime(Protocol):
    """Runs one network on one device.

    What it says of an image is the same, to the last bit, whatever images come with it.
    """

    @property
    def name(self) -> RuntimeName:
        """What `choose_runtime` takes to give this one again."""

    @property
    def description(self) -> str:
        """Library, its version, device and precision, as in `openvino 2026.4.1 cpu bfloat16`; reports carry it."""

    def infer(self, batch_ncyx: npt.NDArray[np.uint8]) -> RuntimeOutput:
        """Expand, normalise and run a batch.

        Args:
            batch_ncyx: as `ImageSpec.shape_cyx` says for each image; one channel is repeated for every input channel.
        """
