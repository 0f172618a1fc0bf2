"""The packages of the images, found once."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.utils import NormalizedName

from deploy.supply.images import Package, packages_of_images


@pytest.fixture(scope="session")
def images() -> Mapping[str, Mapping[NormalizedName, Package]]:
    """What each image has, of what is installed here."""
    return packages_of_images(Path(__file__).parents[3])
