"""The gate for licences, proved by planted packages."""

from collections.abc import Iterator, Mapping
from email.message import Message
from pathlib import Path

import pytest
from packaging.utils import NormalizedName, canonicalize_name

from deploy.supply import licences
from deploy.supply.images import IMAGES, Package, Vendored, vendored

ROOT = Path(__file__).parents[3]
POLICY = licences.Policy.model_validate(
    {
        "allowed": ["MIT", "Apache-2.0"],
        "stated": {"vague": "MIT"},
        "exceptions": [{"packages": ["copyleft"], "licences": ["GPL-3.0-only"], "images": ["one"], "reason": "needed"}],
    }
)


def package(name: str, **fields: str) -> Package:
    information = Message()
    for field, value in fields.items():
        information[field.replace("_", "-")] = value
    return Package(canonicalize_name(name), "1.0", frozenset(), information)


def image(*packages: Package) -> dict[str, dict[NormalizedName, Package]]:
    needed = (package("vague", License="BSD"), package("copyleft", License="GPL-3.0-only"))
    return {"one": {each.name: each for each in (*needed, *packages)}}


def found(*packages: Package, libraries: tuple[Vendored, ...] = ()) -> Iterator[str]:
    return iter(licences.problems(image(*packages), libraries, POLICY))


def test_known_and_allowed_licences_pass() -> None:
    assert list(found(package("good", License_Expression="MIT OR GPL-3.0-only"))) == []


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        (package("bad", License_Expression="GPL-3.0-only"), "GPL-3.0-only is not allowed"),
        (package("bad", License_Expression="MIT AND GPL-3.0-only"), "is not allowed"),
        (package("bad", License="BSD"), "not known"),
        (package("bad", Classifier="License :: OSI Approved :: BSD License"), "not known"),
        (package("bad"), "not known"),
    ],
)
def test_a_planted_licence_is_found(planted: Package, fault: str) -> None:
    (line,) = found(planted)
    assert line.startswith("bad 1.0, in image one: ")
    assert fault in line


def test_a_planted_library_of_the_frontend_is_found() -> None:
    (line,) = found(libraries=(Vendored("chart", "2", "SSPL-1.0", {}),))
    assert line == "chart 2, in image frontend: SSPL-1.0 is not allowed"


def test_an_exception_holds_for_its_package_and_its_image_alone() -> None:
    two = image() | {"two": image()["one"]}
    assert licences.problems(two, (), POLICY) == ["copyleft 1.0, in image two: GPL-3.0-only is not allowed"]


def test_what_the_policy_says_of_nothing_is_found() -> None:
    only = {"one": {each.name: each for each in [package("vague", License_Expression="MIT")]}}
    assert licences.problems(only, (), POLICY) == [
        "stated for vague, whose metadata says MIT itself",
        "an exception for copyleft in image one, which does not have it",
    ]
    assert "stated for vague, which no image has" in licences.problems({"one": {}}, (), POLICY)


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ({"License_Expression": "MIT", "License": "BSD"}, "MIT"),
        ({"License": "Apache-2.0"}, "Apache-2.0"),
        ({"License": "Copyright (c) 2022, Somebody.\nAll rights reserved."}, None),
        ({"Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
    ],
)
def test_the_licence_is_what_the_metadata_says_without_doubt(fields: dict[str, str], licence: str | None) -> None:
    assert licences.declared(package("any", **fields).metadata or Message()) == licence


def test_two_classifiers_say_two_things() -> None:
    information = Message()
    information["Classifier"] = "License :: OSI Approved :: MIT License"
    information["Classifier"] = "License :: OSI Approved :: Apache Software License"
    assert licences.declared(information) is None


def test_all_images_keep_to_the_committed_policy_and_are_in_the_report(
    images: Mapping[str, Mapping[NormalizedName, Package]],
) -> None:
    policy = licences.Policy.load()
    assert licences.problems(images, vendored(ROOT), policy) == []
    page = licences.report(images, vendored(ROOT), policy)
    assert "unknown" not in page
    assert "| preact " in page
    assert all(line.count("|") == 4 for line in page.splitlines() if line.startswith("|"))


def test_exceptions_are_for_images_that_there_are() -> None:
    assert {image for each in licences.Policy.load().exceptions for image in each.images} <= IMAGES.keys()
