"""What a model server says of what it has loaded."""

from typing import Any

from inference_service.bundles import Bundle
from inference_service.wire import Catalogue, ModelInfo, ModelRole


def model_info(bundle: Bundle, **changes: Any) -> ModelInfo:
    """An active model made of a bundle, on a runtime of the test's own."""
    manifest = bundle.manifest
    fields = {
        "role": ModelRole.ACTIVE,
        "name": manifest.name,
        "version": manifest.version,
        "digest": bundle.digest,
        "label": manifest.label,
        "finding": manifest.finding,
        "intended_use": manifest.intended_use,
        "thresholds": manifest.thresholds,
        "image": manifest.image,
        "runtime": "fake-float32",
        "runtime_detail": "fake 1.0 cpu float32",
    }
    return ModelInfo.model_validate(fields | changes)


def catalogue(*models: ModelInfo) -> Catalogue:
    """These models, in batches of up to 8."""
    return Catalogue(models=models, max_batch_size=8)
