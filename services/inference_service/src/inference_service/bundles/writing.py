"""Writing a bundle: all of it or nothing."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from safetensors.numpy import save

from inference_service.bundles.loading import Bundle, load_bundle
from inference_service.bundles.manifest import MANIFEST_FILE, WEIGHTS_FILE


def write_bundle(
    directory: Path, description: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[np.generic]]
) -> Bundle:
    """Write a bundle to `directory` and return it as read back from there.

    A reader sees the bundle that was there before, or the new one, never a mixture: the new one is made and verified
    in a folder beside it and takes its place by a rename.

    Args:
        directory: where the bundle is to be; replaced where it exists.
        description: the content of `bundle.yaml` without `weights`, which is worked out here.
        tensors: the model's state by timm's names.

    Raises:
        BundleError: `description` is not a valid bundle.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as scratch:
        made = Path(scratch) / "new"
        made.mkdir(mode=0o755)
        weights = save({name: np.ascontiguousarray(tensor) for name, tensor in sorted(tensors.items())})
        content = {
            **description,
            "weights": {"file": WEIGHTS_FILE, "sha256": hashlib.sha256(weights).hexdigest()},
        }
        _write(made / WEIGHTS_FILE, weights)
        _write(made / MANIFEST_FILE, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110).encode())
        load_bundle(made)
        if directory.exists():
            shutil.move(directory, Path(scratch) / "old")
        made.rename(directory)
    return load_bundle(directory)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
