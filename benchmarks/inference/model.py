"""The bundle that is measured, and the images that it is given."""

import io
from pathlib import Path

import yaml
from safetensors.numpy import load

from benchmarks.errors import BenchmarkError
from inference_service.bundles import Bundle, load_bundle
from inference_service.bundles.manifest import MANIFEST_FILE
from inference_service.bundles.writing import write_bundle
from radrelay_local.stack import DEMONSTRATION_BUNDLE
from radrelay_phantoms import sample
from radrelay_phantoms.dicom import write_dicom

IMAGE_SIZE_PX = 512
"""Of one CT slice as scanners write it."""
DISTINCT_IMAGES = 6


def choose_bundle(directory: Path | None, *, size_px: int | None, scratch: Path) -> Bundle:
    """The bundle to measure.

    Args:
        directory: of a bundle; None takes the demonstration bundle.
        size_px: side of the input; None leaves what the bundle says.
        scratch: where a changed bundle is written.

    Raises:
        BundleError: the bundle is broken.
        BenchmarkError: the bundle does not take CT, which the phantoms are.
    """
    bundle = load_bundle(directory or DEMONSTRATION_BUNDLE)
    if "CT" not in bundle.manifest.image.accepts.modalities:
        raise BenchmarkError(f"the bundle in {bundle.directory} does not take CT images, which the phantoms are")
    if size_px in {None, bundle.manifest.image.size_px}:
        return bundle
    return _resize(bundle, size_px=size_px, directory=scratch / "resized")


def _resize(bundle: Bundle, *, size_px: int | None, directory: Path) -> Bundle:
    """The same weights for another size of input: as fast as a model trained for it, and not as good."""
    content = yaml.safe_load((bundle.directory / MANIFEST_FILE).read_text(encoding="utf-8"))
    del content["weights"]
    content["image"]["size_px"] = size_px
    content["label"] = f"{content['label']}, resized for a benchmark"
    return write_bundle(directory, content, load(bundle.weights))


def describe_bundle(bundle: Bundle) -> str:
    """In one line."""
    manifest = bundle.manifest
    size_px = manifest.image.size_px
    return (
        f"{manifest.name} {manifest.version} ({manifest.label}): {manifest.architecture.timm_name} at {size_px} px, "
        f"{bundle.digest[:19]}"
    )


def draw_images() -> list[bytes]:
    """A few phantoms as DICOM files."""
    return [_draw(seed) for seed in range(DISTINCT_IMAGES)]


def _draw(seed: int) -> bytes:
    stream = io.BytesIO()
    write_dicom(sample(seed, size=IMAGE_SIZE_PX), stream)
    return stream.getvalue()
