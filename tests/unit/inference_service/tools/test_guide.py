"""The examples in the guide are a bundle and its reference."""

from pathlib import Path

import yaml

from inference_service.bundles import BundleManifest

GUIDE = Path(__file__).parents[4] / "docs" / "bundles.md"


def test_the_example_of_the_guide_is_valid_and_complete() -> None:
    content = yaml.safe_load(GUIDE.read_text().split("```yaml\n")[1].split("```")[0])
    content["weights"]["sha256"] = "0" * 64
    assert BundleManifest.model_validate(content).model_dump(mode="json") == content


def test_the_reference_of_the_guide_is_valid_in_its_bundle() -> None:
    bundle, reference = (yaml.safe_load(part.split("```")[0]) for part in GUIDE.read_text().split("```yaml\n")[1:])
    bundle["weights"]["sha256"] = "0" * 64
    manifest = BundleManifest.model_validate(bundle | reference)
    assert manifest.model_dump(mode="json")["reference"] == reference["reference"]
