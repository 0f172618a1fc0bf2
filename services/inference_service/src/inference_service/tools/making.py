"""New bundles out of what is there."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from safetensors import SafetensorError
from safetensors.numpy import load

from inference_service.bundles import Bundle, BundleError, write_bundle
from inference_service.bundles.manifest import MANIFEST_FILE, WEIGHTS_FILE, CalibrationSpec, Reference
from inference_service.engine.network import load_network
from inference_service.tools.errors import ToolError
from inference_service.tools.states import read_state


def build_bundle(state: Path, manifest: Path, out: Path) -> Bundle:
    """A bundle in `out`, after its weights were seen to fit its architecture.

    Args:
        state: of a timm network with one logit, as `read_state` takes it.
        manifest: the content of `bundle.yaml`; `weights` may be left out and is worked out anew.
        out: replaced where it exists, and left alone if anything fails.

    Raises:
        ToolError: a file cannot be read.
        BundleError: the manifest is not valid, or the state is of another architecture.
    """
    try:
        description = yaml.safe_load(manifest.read_bytes())
    except OSError as error:
        raise ToolError(f"{manifest}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ToolError(f"{manifest}: is not valid YAML: {error}") from error
    if not isinstance(description, dict):
        raise ToolError(f"{manifest}: is not a mapping")
    tensors = read_state(state)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            load_network(write_bundle(Path(scratch) / "trial", description, tensors))
        except BundleError as error:
            raise BundleError(manifest if error.path.name == MANIFEST_FILE else state, error.problem) from error
    return write_bundle(out, description, tensors)


def write_calibrated(bundle: Bundle, calibration: CalibrationSpec, out: Path) -> Bundle:
    """The same bundle with another calibration, so under another digest, in `out`.

    A reference for drift is left out: its probabilities were of the calibration that was.

    Raises:
        BundleError: the weights are no safetensors file.
    """
    description = _description(bundle)
    description["calibration"] = calibration.model_dump(mode="json")
    description.pop("reference", None)
    return write_bundle(out, description, _tensors(bundle))


def write_with_reference(bundle: Bundle, reference: Reference, out: Path) -> Bundle:
    """The same bundle with another reference for drift, so under another digest, in `out`.

    Raises:
        BundleError: the weights are no safetensors file.
    """
    description = _description(bundle)
    description["reference"] = reference.model_dump(mode="json", exclude_unset=True)
    return write_bundle(out, description, _tensors(bundle))


def _description(bundle: Bundle) -> dict[str, Any]:
    """What `bundle.yaml` says, without the weights, and without defaults that it does not spell out."""
    return bundle.manifest.model_dump(mode="json", exclude_unset=True, exclude={"weights"})


def _tensors(bundle: Bundle) -> dict[str, npt.NDArray[np.generic]]:
    try:
        return load(bundle.weights)
    except SafetensorError as error:
        raise BundleError(bundle.directory / WEIGHTS_FILE, f"is not a safetensors file: {error}") from error
