"""Which licence each package of the images has, and whether it may be there."""

from collections.abc import Iterable, Iterator, Mapping
from email.message import Message
from pathlib import Path
from typing import Final

import yaml
from license_expression import AND, LicenseExpression, Licensing
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import NormalizedName
from pydantic import BaseModel, ConfigDict

from deploy.supply.images import FRONTEND, Package, Vendored

POLICY_FILE: Final = Path(__file__).with_name("licences.yaml")
OURS: Final = "Apache-2.0"

_CLASSIFIERS: Final = {
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""Those that name one licence. `BSD License` and `Apache Software License` name several."""


class Exempt(BaseModel):
    """Packages that may have a licence which is not allowed to all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    packages: tuple[str, ...]
    licences: tuple[str, ...]
    images: tuple[str, ...]
    reason: str


class Policy(BaseModel):
    """The content of licences.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    allowed: tuple[str, ...]
    stated: dict[str, str]
    exceptions: tuple[Exempt, ...]

    @classmethod
    def load(cls, path: Path = POLICY_FILE) -> "Policy":
        """The policy in a file."""
        return cls.model_validate(yaml.safe_load(path.read_text("utf-8")))

    def licence_of(self, package: Package) -> str | None:
        """The SPDX expression of a package; None where it is not known."""
        if package.metadata is None:
            return OURS
        return self.stated.get(package.name) or declared(package.metadata)

    def exceptions_for(self, package: str, image: str) -> Iterator[Exempt]:
        """Those that let a package have another licence in an image."""
        return (each for each in self.exceptions if package in each.packages and image in each.images)


def is_spdx(expression: str) -> bool:
    """Whether it is an SPDX expression, in which each identifier is of SPDX's list or begins with LicenseRef-."""
    try:
        return canonicalize_license_expression(expression) == expression
    except InvalidLicenseExpression:
        return False


def declared(information: Message) -> str | None:
    """The SPDX expression that the metadata of a package gives; None where it gives none, or says several things."""
    for field in ("License-Expression", "License"):
        text = information.get(field)
        if text and is_spdx(text.strip()):
            return text.strip()
    classifiers = [each for each in information.get_all("Classifier", []) if each.startswith("License ::")]
    return _CLASSIFIERS.get(classifiers[0]) if len(classifiers) == 1 else None


def is_allowed(expression: str, allowed: frozenset[str]) -> bool:
    """Whether one may keep to an expression with the allowed licences alone."""
    return _within(Licensing().parse(expression), allowed)


def _within(part: LicenseExpression, allowed: frozenset[str]) -> bool:
    if not part.args:
        return part.render() in allowed
    within = (_within(each, allowed) for each in part.args)
    return all(within) if isinstance(part, AND) else any(within)


def problems(
    images: Mapping[str, Mapping[NormalizedName, Package]], vendored: Iterable[Vendored], policy: Policy
) -> list[str]:
    """What is wrong with the licences, one line each.

    Args:
        images: the packages of each image.
        vendored: the libraries that the frontend has.
        policy: what is allowed.
    """
    found = [
        f"{package.name} {package.version}, in image {image}: {fault}"
        for image, packages in images.items()
        for package in packages.values()
        if (fault := _fault(policy.licence_of(package), package.name, image, policy))
    ]
    found += [
        f"{each.name} {each.version}, in image {FRONTEND}: {fault}"
        for each in vendored
        if (fault := _fault(each.licence, each.name, FRONTEND, policy))
    ]
    return found + _superfluous(images, policy)


def _fault(licence: str | None, name: str, image: str, policy: Policy) -> str | None:
    if licence is None:
        return "its licence is not known; read it, and write it to `stated` in licences.yaml"
    if not is_spdx(licence):
        return f"{licence!r} is no SPDX expression"
    exempt = (each for exception in policy.exceptions_for(name, image) for each in exception.licences)
    if not is_allowed(licence, frozenset((*policy.allowed, *exempt))):
        return f"{licence} is not allowed"
    return None


def _superfluous(images: Mapping[str, Mapping[NormalizedName, Package]], policy: Policy) -> list[str]:
    """Entries of the policy that nothing needs: they would let something through one day that nobody looked at."""
    present = {name: package for packages in images.values() for name, package in packages.items()}
    found = [f"stated for {name}, which no image has" for name in policy.stated if name not in present]
    for name, package in present.items():
        said = declared(package.metadata) if package.metadata is not None and name in policy.stated else None
        if said is not None:
            found.append(f"stated for {name}, whose metadata says {said} itself")
    for exception in policy.exceptions:
        for image in exception.images:
            # Another build of torch may leave an image out.
            lacking = [name for name in exception.packages if image in images and name not in images[image]]
            found += [f"an exception for {name} in image {image}, which does not have it" for name in lacking]
    return found


def report(images: Mapping[str, Mapping[NormalizedName, Package]], vendored: Iterable[Vendored], policy: Policy) -> str:
    """All packages with their licences as a page in Markdown."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for image, packages in images.items():
        for package in packages.values():
            licence = policy.licence_of(package) or "unknown"
            rows.setdefault((package.name, package.version, licence), []).append(image)
    for library in vendored:
        rows.setdefault((library.name, library.version, library.licence), []).append(FRONTEND)
    lines = [f"| {name} {version} | {licence} | {', '.join(each)} |" for (name, version, licence), each in rows.items()]
    exceptions = [
        f"- {', '.join(each.packages)} ({', '.join(each.licences)}; in {', '.join(each.images)}): {each.reason}"
        for each in policy.exceptions
    ]
    head = ["# Licences", "", "| package | licence | images |", "|---|---|---|"]
    return "\n".join([*head, *sorted(lines, key=str.lower), "", "## Exceptions", "", *exceptions, ""])
