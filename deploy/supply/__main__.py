"""Check what the images are made of, or write it down: `python -m deploy.supply check | sbom | licences`."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploy.supply import advisories, licences, sbom
from deploy.supply.images import (
    CUDA,
    FRONTEND,
    Incomplete,
    own_distributions,
    packages_of_images,
    pins,
    vendored,
)

ROOT: Final = Path(__file__).parents[2]


def check() -> Iterator[str]:
    """Whatever is wrong, one line each."""
    images, policy, pinned = packages_of_images(ROOT), licences.Policy.load(), pins(ROOT)
    yield from licences.problems(images, vendored(ROOT), policy)
    yield from advisories.problems(advisories.load(), pinned, own_distributions(ROOT).values())
    yield from advisories.unpinned(images, pinned)


def write_bills(folder: Path) -> Iterator[str]:
    """Write a bill of materials for each image, held to the schema; say how many components each has."""
    folder.mkdir(parents=True, exist_ok=True)
    policy = licences.Policy.load()
    (version,) = {each.version for each in own_distributions(ROOT).values()}
    images = packages_of_images(ROOT)
    for image, packages in images.items():
        libraries = vendored(ROOT) if image == FRONTEND else []
        document = sbom.bill(image, version, packages, libraries, policy)
        sbom.validate(document)
        path = folder / f"{image}.cdx.json"
        path.write_text(document, "utf-8")
        yield f"{path}: {len(packages) + len(libraries)} components"
    if CUDA not in images:
        yield f"{CUDA}: left out, since torch was built without CUDA here"


def write_licences(path: Path) -> str:
    """Write the licences of all packages of all images; say where to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(licences.report(packages_of_images(ROOT), vendored(ROOT), licences.Policy.load()), "utf-8")
    return str(path)


def main() -> int:
    """Do what the command line asks for, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.supply", description=__doc__)
    parser.add_argument("command", choices=("check", "sbom", "licences"))
    command = parser.parse_args().command
    out = ROOT / "build"
    try:
        if command == "check":
            found = list(check())
            sys.stderr.writelines(f"{each}\n" for each in found)
            return 1 if found else 0
        written = write_bills(out / "sbom") if command == "sbom" else [write_licences(out / "licences.md")]
        sys.stdout.writelines(f"{each}\n" for each in written)
    except Incomplete as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
