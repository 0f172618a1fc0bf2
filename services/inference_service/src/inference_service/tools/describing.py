"""A bundle in words."""

from inference_service.bundles import Bundle
from inference_service.bundles.manifest import CalibrationSpec


def describe(bundle: Bundle) -> str:
    """One line for each thing that a reader of the model's results should know."""
    manifest = bundle.manifest
    architecture, image = manifest.architecture, manifest.image
    thresholds, provenance = manifest.thresholds, manifest.provenance
    lines = {
        "name": manifest.name,
        "version": manifest.version,
        "digest": bundle.digest,
        "label": manifest.label,
        "finding": manifest.finding,
        "intended use": manifest.intended_use,
        "architecture": f"{architecture.timm_name}, {architecture.input_channels} channels, {image.size_px} px",
        "accepts": ", ".join(image.accepts.modalities),
        "calibration": _calibration(manifest.calibration),
        "thresholds": f"positive {thresholds.positive:g}, urgent {thresholds.urgent:g}, stat {thresholds.stat:g}",
        "data": provenance.data,
        "method": provenance.method,
        "code version": provenance.code_version,
        "seed": "not given" if provenance.seed is None else str(provenance.seed),
        "weights": f"{len(bundle.weights) / 1e6:.1f} MB",
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


def _calibration(spec: CalibrationSpec) -> str:
    isotonic = "no isotonic map" if spec.isotonic is None else f"isotonic map of {len(spec.isotonic.x)} knots"
    return f"temperature {spec.temperature:.4g}, {isotonic}"
