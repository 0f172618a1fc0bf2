"""Small bundles: real timm networks that take milliseconds."""

from pathlib import Path

import pytest

from inference_service.bundles import Bundle
from support.untrained import write_untrained

SMALL_NETWORK = "test_efficientnet"
SMALL_PX = 96


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Pooling and one linear layer, 3 x 3 cells."""
    return write_untrained(tmp_path_factory.mktemp("bundles") / "small", timm_name=SMALL_NETWORK, size_px=SMALL_PX)


@pytest.fixture(scope="session")
def b4_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """An untrained EfficientNet-B4."""
    return write_untrained(tmp_path_factory.mktemp("bundles") / "b4")


@pytest.fixture
def writable_bundle(small_bundle: Bundle, tmp_path: Path) -> Path:
    """A copy of the small bundle that a test may break."""
    directory = tmp_path / "bundle"
    directory.mkdir()
    for file in small_bundle.directory.iterdir():
        (directory / file.name).write_bytes(file.read_bytes())
    return directory
