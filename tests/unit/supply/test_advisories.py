"""The floors of known advisories, proved by planted pins and requirements."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version
from pydantic import ValidationError

from deploy.supply import __main__ as supply
from deploy.supply import advisories
from deploy.supply.advisories import Advisory
from deploy.supply.images import Own, Package, own_distributions, pins

ROOT = Path(__file__).parents[3]
PARSER = Advisory(package="Multi_Part", fixed_in="0.0.27", id="CVE-2026-42561", what="crafted headers")


def distribution(*dependencies: str, **extras: tuple[str, ...]) -> Own:
    return Own(canonicalize_name("ours"), "services/ours", "0.1.0", dependencies, extras)


def pinned(**versions: str) -> dict[NormalizedName, Version]:
    return {canonicalize_name(name): Version(version) for name, version in versions.items()}


def found(own: Own, **versions: str) -> list[str]:
    return list(advisories.problems([PARSER], pinned(**versions), [own]))


def test_what_is_pinned_and_allowed_from_the_fix_on_passes() -> None:
    assert found(distribution("multi-part>=0.0.27"), multi_part="0.0.34") == []


def test_a_planted_pin_is_found() -> None:
    (line,) = found(distribution("multi-part>=0.0.30"), multi_part="0.0.26")
    assert line == "CVE-2026-42561: constraints.txt pins multi-part 0.0.26, fixed in 0.0.27: crafted headers"


@pytest.mark.parametrize("requirement", ["multi-part", "multi-part>=0.0.9", "Multi.Part[x]>0.0.20", "multi-part<2"])
def test_a_planted_requirement_is_found(requirement: str) -> None:
    (line,) = found(distribution(requirement), multi_part="0.0.34")
    assert line.startswith("CVE-2026-42561: services/ours requires ")


def test_a_planted_requirement_of_an_extra_is_found() -> None:
    assert len(found(distribution(forms=("multi-part>=0.0.20",)), multi_part="0.0.34")) == 1


def test_an_advisory_of_what_is_not_used_is_found() -> None:
    (line,) = found(distribution(), other="1")
    assert "does not pin multi-part" in line


def test_an_identifier_has_the_form_of_its_list() -> None:
    with pytest.raises(ValidationError):
        Advisory(package="a", fixed_in="1", id="CVE-26-1", what="mistyped")


def test_a_package_of_an_image_that_nothing_pins_is_found(
    images: Mapping[str, Mapping[NormalizedName, Package]],
) -> None:
    versions = pins(ROOT)
    assert advisories.unpinned(images, versions) == []
    del versions[canonicalize_name("typst")]
    assert advisories.unpinned(images, versions) == ["typst, in image report: constraints.txt does not pin it"]


def test_the_committed_pins_and_requirements_are_above_the_committed_floors() -> None:
    known = advisories.load()
    assert list(advisories.problems(known, pins(ROOT), own_distributions(ROOT).values())) == []
    assert {"pydicom", "pynetdicom", "bentoml", "starlette", "python-multipart", "pyjwt"} <= {
        each.package for each in known
    }


def test_the_check_ends_with_one_where_something_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planted = [each.model_copy(update={"fixed_in": "999"}) for each in advisories.load()[:1]]
    monkeypatch.setattr(advisories, "load", lambda: planted)
    monkeypatch.setattr(sys, "argv", ["supply", "check"])
    assert supply.main() == 1
    assert "fixed in 999" in capsys.readouterr().err
