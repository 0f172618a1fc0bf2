"""From levels of 0..255 to what the network was trained on."""

from inference_service.bundles.manifest import BundleManifest


def affine(manifest: BundleManifest) -> tuple[list[float], list[float]]:
    """Scale and shift, for each input channel, that take a level of 0..255 to (level / 255 - mean) / std."""
    mean, std = manifest.normalization.mean, manifest.normalization.std
    return [1.0 / (255.0 * s) for s in std], [-m / s for m, s in zip(mean, std, strict=True)]
