"""Small bundles: real timm networks that take milliseconds."""

from contextlib import redirect_stdout
from pathlib import Path

import pytest

from inference_service.bundles import Bundle, load_bundle
from inference_service.bundles.untrained import main, write_untrained

SMALL_NETWORK = "test_efficientnet"
SMALL_PX = 96


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Pooling and one linear layer, 3 x 3 cells."""
    return write_untrained(tmp_path_factory.mktemp("bundles") / "small", timm_name=SMALL_NETWORK, size_px=SMALL_PX)


@pytest.fixture(scope="session")
def printed_by_the_command(b4_directory: Path) -> str:
    """What the command printed that made the demonstration's bundle."""
    return (b4_directory.parent / "printed").read_text()


@pytest.fixture(scope="session")
def b4_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration's own EfficientNet-B4, made by the command."""
    directory = tmp_path_factory.mktemp("bundles") / "b4"
    with (directory.parent / "printed").open("w") as printed, redirect_stdout(printed):
        main([str(directory)])
    return directory


@pytest.fixture(scope="session")
def b4_bundle(b4_directory: Path) -> Bundle:
    """The demonstration's own EfficientNet-B4."""
    return load_bundle(b4_directory)


@pytest.fixture
def writable_bundle(small_bundle: Bundle, tmp_path: Path) -> Path:
    """A copy of the small bundle that a test may break."""
    directory = tmp_path / "bundle"
    directory.mkdir()
    for file in small_bundle.directory.iterdir():
        (directory / file.name).write_bytes(file.read_bytes())
    return directory
