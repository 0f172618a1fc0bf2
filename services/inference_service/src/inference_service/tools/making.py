"""New bundles out of what is there."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load

from inference_service.bundles import Bundle, BundleError, write_bundle
from inference_service.bundles.manifest import WEIGHTS_FILE, CalibrationSpec


def write_calibrated(bundle: Bundle, calibration: CalibrationSpec, out: Path) -> Bundle:
    """The same bundle with another calibration, so under another digest, in `out`.

    Raises:
        BundleError: the weights are no safetensors file.
    """
    description = bundle.manifest.model_dump(mode="json", exclude_unset=True, exclude={"weights"})
    description["calibration"] = calibration.model_dump(mode="json")
    try:
        tensors = load(bundle.weights)
    except SafetensorError as error:
        raise BundleError(bundle.directory / WEIGHTS_FILE, f"is not a safetensors file: {error}") from error
    return write_bundle(out, description, tensors)
