"""Model bundles: a folder with `bundle.yaml` and `weights.safetensors`, named by its digest."""

from inference_service.bundles.errors import BundleError
from inference_service.bundles.loading import Bundle, load_bundle
from inference_service.bundles.manifest import BundleManifest
from inference_service.bundles.writing import write_bundle

__all__ = ["Bundle", "BundleError", "BundleManifest", "load_bundle", "write_bundle"]
