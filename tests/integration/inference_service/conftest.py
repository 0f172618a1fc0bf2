"""A model server process on a small bundle, and a worker process on the real broker and object store."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference_service.bundles import Bundle
from support.inference import free_port, serving, working
from support.stack import Infrastructure
from support.untrained import write_untrained


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A real network that takes milliseconds."""
    return write_untrained(tmp_path_factory.mktemp("bundles") / "small", timm_name="test_efficientnet", size_px=96)


@pytest.fixture(scope="session")
def second_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Another network for the same images."""
    folder = tmp_path_factory.mktemp("bundles") / "second"
    return write_untrained(folder, timm_name="test_efficientnet", size_px=96, seed=1)


@pytest.fixture(scope="session")
def model_url(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the model server answers, on a runtime that a test can have as well."""
    port, runtime = free_port(), {"RADRELAY_INFERENCE_RUNTIME": "openvino-float32"}
    with serving(bundle.directory, tmp_path_factory.mktemp("server"), port=port, **runtime):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def worker(infra: Infrastructure, model_url: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of this test's own."""
    with working(infra, model_url, tmp_path) as process:
        yield process
