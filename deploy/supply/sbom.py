"""Bills of materials of the images, in CycloneDX's JSON."""

from collections.abc import Iterable, Mapping
from typing import Final

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.utils import NormalizedName

from deploy.supply.images import Package, Vendored
from deploy.supply.licences import OURS, Policy

_REPOSITORY: Final = "radrelay"


class Invalid(Exception):
    """A document does not follow CycloneDX's schema; the message says where."""


def of_packages(image: str, packages: Mapping[NormalizedName, Package], start: NormalizedName, policy: Policy) -> str:
    """The bill of materials of an image with Python packages.

    Args:
        image: name of the image.
        packages: all that it has.
        start: the distribution that it was built from.
        policy: knows the licences.
    """
    bom, container = _bill(image, packages[start].version)
    components = {name: _component(package, policy.licence_of(package)) for name, package in packages.items()}
    bom.components = components.values()
    for name, package in packages.items():
        bom.register_dependency(components[name], [components[each] for each in sorted(package.requires)])
    bom.register_dependency(container, [components[start]])
    return _written(bom)


def of_vendored(image: str, version: str, libraries: Iterable[Vendored]) -> str:
    """The bill of materials of an image with vendored libraries, each with the digests of its files."""
    bom, container = _bill(image, version)
    bom.components = [_library(each) for each in libraries]
    bom.register_dependency(container, bom.components)
    return _written(bom)


def validate(document: str) -> None:
    """Hold a document to CycloneDX's schema.

    Raises:
        Invalid: it does not follow it.
    """
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(document)
    if error is not None:
        raise Invalid(str(error))


def _bill(image: str, version: str) -> tuple[Bom, Component]:
    """An empty bill, and the image that it is about."""
    name = f"{_REPOSITORY}/{image}"
    container = Component(
        type=ComponentType.CONTAINER, name=name, version=version, bom_ref=name, licenses=[LicenseExpression(OURS)]
    )
    bom = Bom()
    bom.metadata.component = container
    return bom, container


def _component(package: Package, licence: str | None) -> Component:
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        bom_ref=package.name,
        licenses=[LicenseExpression(licence)] if licence else None,
        # Ours are on no index, where another might have their names one day.
        purl=PackageURL("pypi", name=package.name, version=package.version) if package.metadata is not None else None,
    )


def _library(library: Vendored) -> Component:
    namespace, _, name = library.name.rpartition("/")
    files = [
        Component(
            type=ComponentType.FILE,
            name=path,
            bom_ref=path,
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        )
        for path, digest in library.digests.items()
    ]
    return Component(
        type=ComponentType.LIBRARY,
        name=library.name,
        version=library.version,
        bom_ref=library.name,
        licenses=[LicenseExpression(library.licence)],
        purl=PackageURL("npm", namespace=namespace or None, name=name, version=library.version),
        components=files,
    )


def _written(bom: Bom) -> str:
    return str(JsonV1Dot6(bom).output_as_string(indent=2))
