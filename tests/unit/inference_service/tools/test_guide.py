"""The example in the guide is a bundle."""

from pathlib import Path

import yaml

from inference_service.bundles import BundleManifest

GUIDE = Path(__file__).parents[4] / "docs" / "bundles.md"


def test_the_example_of_the_guide_is_valid_and_complete() -> None:
    content = yaml.safe_load(GUIDE.read_text().split("```yaml\n")[1].split("```")[0])
    content["weights"]["sha256"] = "0" * 64
    assert BundleManifest.model_validate(content).model_dump(mode="json") == content
