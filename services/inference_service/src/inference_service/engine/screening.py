"""A bundle ready to screen: one result, or one error, for each image of a batch."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference_service.bundles.errors import BundleError
from inference_service.bundles.loading import Bundle
from inference_service.bundles.manifest import MANIFEST_FILE, WEIGHTS_FILE
from inference_service.cores import available_cores
from inference_service.engine.calibration import calibrate, sigmoid
from inference_service.engine.choice import choose_runtime, find_device
from inference_service.engine.explanation import UnexplainableNetwork
from inference_service.engine.network import load_network
from inference_service.engine.runtime import DeviceChoice, Runtime, RuntimeChoice

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ImageScore:
    """What the model says of one image."""

    logit: float
    probability_raw: float
    """Sigmoid of the logit."""
    probability: float
    """Calibrated."""
    cam_yx: npt.NDArray[np.float32]
    """Grad-CAM over the whole square input, padding included."""


@dataclass(frozen=True, slots=True)
class ImageFault:
    """Why one image of a batch has no score; its neighbours are not touched."""

    reason: str
    detail: str


class ScreeningEngine:
    """Scores batches with one bundle on one runtime."""

    def __init__(self, bundle: Bundle, runtime: Runtime) -> None:
        self._manifest = bundle.manifest
        self._runtime = runtime

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, *, device: DeviceChoice = "auto", runtime: RuntimeChoice = "torch"
    ) -> "ScreeningEngine":
        """Load the network of a verified bundle; see `choose_runtime`.

        Raises:
            RuntimeRefused: what was asked for cannot be had.
            BundleError: the network cannot be made, filled or explained.
        """
        model = load_network(bundle)
        try:
            chosen = choose_runtime(model, bundle.manifest, device=device, runtime=runtime)
        except UnexplainableNetwork as error:
            path = bundle.directory / MANIFEST_FILE
            raise BundleError(path, f"architecture.timm_name: {error}") from error
        engine = cls(bundle, chosen)
        _log.info(
            "model loaded", extra={"digest": bundle.digest, "runtime": chosen.description, "cores": available_cores()}
        )
        return engine

    @property
    def runtime_description(self) -> str:
        """See `Runtime.description`."""
        return self._runtime.description

    @property
    def runtime_name(self) -> str:
        """Machine-readable name of the runtime, as `choose_runtime` takes it."""
        return self._runtime.name

    def warm_up(self, bundle: Bundle, *, max_batch_size: int) -> None:
        """Run empty images, so that no case pays for what is done once: one alone, and a batch of the largest size.

        Raises:
            BundleError: the weights give no finite number.
        """
        blank = np.zeros(self._manifest.image.shape_cyx, np.uint8)
        for size in (1, max_batch_size):
            for outcome in self.screen([blank] * size):
                if isinstance(outcome, ImageFault):
                    raise BundleError(bundle.directory / WEIGHTS_FILE, f"on an empty image: {outcome.detail}")

    def screen(self, images_cyx: Sequence[npt.NDArray[np.uint8]]) -> list[ImageScore | ImageFault]:
        """Score every image that has the model's shape; one outcome for each, in order."""
        shape = self._manifest.image.shape_cyx
        fits = [image.shape == shape and image.dtype == np.uint8 for image in images_cyx]
        outcomes: list[ImageScore | ImageFault] = [
            ImageFault("wrong_shape", f"the model takes uint8 {shape}") for _ in images_cyx
        ]
        chosen = [index for index, fit in enumerate(fits) if fit]
        if chosen:
            output = self._runtime.infer(np.stack([images_cyx[index] for index in chosen]))
            raw_n = sigmoid(output.logits_n)
            calibrated_n = calibrate(output.logits_n, self._manifest.calibration)
            for place, index in enumerate(chosen):
                logit, cam_yx = float(output.logits_n[place]), output.cams_nyx[place]
                if np.isfinite(logit) and np.isfinite(cam_yx).all():
                    outcomes[index] = ImageScore(logit, float(raw_n[place]), float(calibrated_n[place]), cam_yx)
                else:
                    outcomes[index] = ImageFault("not_finite", "the model gave no finite number")
        return outcomes


def verify_start(bundle: Bundle, *, device: DeviceChoice, runtime: RuntimeChoice) -> None:
    """Find out whether `ScreeningEngine.from_bundle` will do.

    `auto` can always fall back on float32 PyTorch, so that only the device and the network are tried, and that on the
    CPU: the candidates' cost is then paid once, by the process that serves. A runtime that was asked for is made.

    Raises:
        RuntimeRefused: what was asked for cannot be had.
        BundleError: the network cannot be made, filled or explained.
    """
    find_device(device)
    if runtime == "auto":
        device, runtime = "cpu", "torch-float32"
    ScreeningEngine.from_bundle(bundle, device=device, runtime=runtime)
