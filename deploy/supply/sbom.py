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

from deploy.supply.images import IMAGES, Package, Vendored
from deploy.supply.licences import OURS, Policy

_REPOSITORY: Final = "radrelay"


class Invalid(Exception):
    """A document does not follow CycloneDX's schema; the message says where."""


def bill(
    image: str,
    version: str,
    packages: Mapping[NormalizedName, Package],
    libraries: Iterable[Vendored],
    policy: Policy,
) -> str:
    """The bill of materials of an image.

    Args:
        image: name of the image.
        version: of the image.
        packages: all that are installed in it.
        libraries: those whose files were copied into it; each is listed with the digests of its files.
        policy: knows the licences.
    """
    name = f"{_REPOSITORY}/{image}"
    container = Component(
        type=ComponentType.CONTAINER, name=name, version=version, bom_ref=name, licenses=[LicenseExpression(OURS)]
    )
    document = Bom()
    document.metadata.component = container
    components = {name: _component(package, policy.licence_of(package)) for name, package in packages.items()}
    copied = [_library(each) for each in libraries]
    document.components = [*components.values(), *copied]
    for package in packages.values():
        document.register_dependency(components[package.name], [components[each] for each in sorted(package.requires)])
    document.register_dependency(container, [components[IMAGES[image]], *copied])
    return str(JsonV1Dot6(document).output_as_string(indent=2))


def validate(document: str) -> None:
    """Hold a document to CycloneDX's schema.

    Raises:
        Invalid: it does not follow it.
    """
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(document)
    if error is not None:
        raise Invalid(str(error))


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
