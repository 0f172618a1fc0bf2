"""What a runtime does for the engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class RuntimeOutput:
    """Raw results of a batch."""

    logits_n: npt.NDArray[np.float32]
    cams_nyx: npt.NDArray[np.float32]
    """Grad-CAM maps over the whole square input, not negative, at feature-map resolution."""


class Runtime(Protocol):
    """Runs one network on one device."""

    @property
    def name(self) -> str:
        """Machine-readable name of library and precision, such as `openvino-bfloat16`."""

    @property
    def description(self) -> str:
        """Library, device and precision, for logs and for the model's information page."""

    def shapes_up_to(self, max_batch_size: int) -> Sequence[int]:
        """Numbers of images that batches up to this size are computed in, each of which wants a warm-up."""

    def infer(self, batch_ncyx: npt.NDArray[np.uint8]) -> RuntimeOutput:
        """Expand, normalise and run a batch.

        Args:
            batch_ncyx: as `ImageSpec.shape_cyx` says for each image; one channel is repeated for every input channel.
        """
