"""Reading a bundle: strict YAML, every field checked, every byte accounted for by a digest."""

import hashlib
import json
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from inference_service.bundles.errors import BundleError
from inference_service.bundles.manifest import MANIFEST_FILE, WEIGHTS_FILE, BundleManifest


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose content is what its digest says."""

    directory: Path
    manifest: BundleManifest
    digest: str
    """`sha256:<hex>` over the canonical manifest, which holds the digest of the weights."""
    weights: bytes
    """The safetensors file, read once, so that what was verified is what is used."""


def load_bundle(directory: Path) -> Bundle:
    """Read and verify the bundle in `directory`.

    Raises:
        BundleError: a file is missing, `bundle.yaml` is not what the format asks for, or the weights are others.
    """
    path = directory / MANIFEST_FILE
    content = _read_yaml(path)
    try:
        manifest = BundleManifest.model_validate(content)
    except ValidationError as error:
        raise BundleError(path, _places(error)) from error
    weights_path = directory / WEIGHTS_FILE
    weights = _read(weights_path)
    found = hashlib.sha256(weights).hexdigest()
    if found != manifest.weights.sha256:
        raise BundleError(weights_path, f"sha256 is {found}, {MANIFEST_FILE} says {manifest.weights.sha256}")
    return Bundle(directory, manifest, manifest_digest(content, path), weights)


def manifest_digest(content: dict[str, Any], path: Path) -> str:
    """`sha256:<hex>` over the content of a manifest as JSON with sorted keys and no spaces.

    The digest is over what was written, not over the model with its defaults, so that a later version of this code
    gives an old bundle the name that it has always had.

    Raises:
        BundleError: a value has no JSON form, such as an unquoted date.
    """
    try:
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BundleError(path, f"a value has no JSON form: {error}") from error
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


class _StrictLoader(yaml.SafeLoader):
    """Plain YAML in which a key that appears twice is a fault, not a silent choice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002  # PyYAML's signature
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    "while reading a mapping", node.start_mark, f"key {key!r} appears twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(path, f"cannot be read: {error.strerror}") from error


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(_read(path), Loader=_StrictLoader)  # noqa: S506  # a SafeLoader that is stricter
    except yaml.YAMLError as error:
        raise BundleError(path, f"is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise BundleError(path, "is not a mapping")
    return content


def _places(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_context=False)
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'bundle'}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in faults
    )
