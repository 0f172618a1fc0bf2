"""Known advisories of what Radrelay builds on: nothing that is pinned or allowed may be older than their fixes."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import yaml
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version
from pydantic import BaseModel, ConfigDict, Field

from deploy.supply.images import Own, Package

ADVISORIES_FILE: Final = Path(__file__).with_name("advisories.yaml")


class Advisory(BaseModel):
    """One entry of advisories.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    package: str
    fixed_in: str
    id: str = Field(pattern=r"^(CVE-\d{4}-\d{4,}|GHSA(-[0-9a-z]{4}){3}|PYSEC-\d{4}-\d+)$")
    what: str


def load(path: Path = ADVISORIES_FILE) -> list[Advisory]:
    """The advisories in a file."""
    return [Advisory.model_validate(each) for each in yaml.safe_load(path.read_text("utf-8"))]


def problems(
    advisories: Iterable[Advisory], pins: Mapping[NormalizedName, Version], own: Iterable[Own]
) -> Iterator[str]:
    """Pins and lower bounds that let a version in which an advisory is about, one line each.

    Args:
        advisories: what is known.
        pins: the versions in constraints.txt.
        own: the distributions whose requirements are looked at.
    """
    distributions = list(own)
    for advisory in advisories:
        name, fixed = canonicalize_name(advisory.package), Version(advisory.fixed_in)
        if name not in pins:
            yield f"{advisory.id}: constraints.txt does not pin {name}; nothing here builds on it"
        elif pins[name] < fixed:
            yield f"{advisory.id}: constraints.txt pins {name} {pins[name]}, fixed in {fixed}: {advisory.what}"
        for distribution in distributions:
            for requirement in distribution.requirements():
                if canonicalize_name(requirement.name) == name and not _is_at_least(requirement, fixed):
                    yield f"{advisory.id}: {distribution.folder} requires {requirement}, fixed in {fixed}"


def unpinned(
    images: Mapping[str, Mapping[NormalizedName, Package]], pins: Mapping[NormalizedName, Version]
) -> list[str]:
    """Packages of images that constraints.txt leaves to the day on which an image is built."""
    return [
        f"{name}, in image {image}: constraints.txt does not pin it"
        for image, packages in images.items()
        for name, package in packages.items()
        if package.metadata is not None and name not in pins
    ]


def _is_at_least(requirement: Requirement, fixed: Version) -> bool:
    lower = [Version(each.version) for each in requirement.specifier if each.operator in (">=", "~=", "==")]
    return bool(lower) and max(lower) >= fixed
