"""The JSON Schema of `bundle.yaml`, from the model that reads it."""

import json

from inference_service.bundles import BundleManifest


def manifest_schema() -> str:
    """JSON Schema (draft 2020-12) as text.

    What compares one field with another, such as `urgent` with `stat`, and the digest of the weights, only
    `radrelay-bundle validate` checks.
    """
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **BundleManifest.model_json_schema()}
    return json.dumps(schema | {"title": "bundle.yaml"}, indent=2, sort_keys=True)
