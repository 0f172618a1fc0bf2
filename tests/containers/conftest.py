"""Starts the product on its containers, once for all tests here, and removes it again."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Final
from uuid import uuid4

import pytest

from support.containers import COMPOSE, IMAGES, ROOT, VERSION, ComposedProduct, docker, free_port

START_TIMEOUT_S: Final = 600

# Other servers stand in for those that compose.yaml names, and are asked otherwise whether they are well.
STANDING_IN: Final = {
    "services": {
        "nats": {"healthcheck": {"test": ["CMD", "healthcheck", "8222/healthz"]}},
        "minio": {"healthcheck": {"test": ["CMD", "healthcheck", "9000/healthz"]}},
    }
}


@pytest.fixture(scope="session", autouse=True)
def images() -> None:
    """All that `make images` builds."""
    there = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    if missing := [name for name in IMAGES if f"radrelay/{name}:{VERSION}" not in there]:
        pytest.exit(f"no images {', '.join(missing)} with tag {VERSION}: make images builds them", returncode=2)


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposedProduct]:
    """Everything up and healthy, as `docker compose up --wait` leaves it."""
    folder = tmp_path_factory.mktemp("product") / "compose"
    shutil.copytree(COMPOSE, folder, ignore=shutil.ignore_patterns("secrets", "secrets.new"))
    subprocess.run([folder / "make-secrets"], check=True)
    port, dicom_port = free_port(), free_port()
    origin = f"http://127.0.0.1:{port}"
    settings = {
        "RADRELAY_VERSION": VERSION,
        "RADRELAY_PORT": port,
        "RADRELAY_DICOM_PORT": dicom_port,
        "RADRELAY_ORIGIN": origin,
        "RADRELAY_OIDC_ISSUER": f"{origin}/auth",
        "RADRELAY_BUNDLE": ROOT / "bundles" / "head-ct-haemorrhage",
        "NATS_IMAGE": f"radrelay/test-nats:{VERSION}",
        "MINIO_IMAGE": f"radrelay/test-seaweedfs:{VERSION}",
        "POSTGRES_IMAGE": f"radrelay/test-postgres:{VERSION}",
    }
    (folder / "test.env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    (folder / "test.json").write_text(json.dumps(STANDING_IN))
    running = ComposedProduct(folder, f"radrelay-test-{uuid4().hex[:8]}", port)
    try:
        running.compose("up", "--wait", "--pull", "never", timeout_s=START_TIMEOUT_S)
        yield running
    finally:
        running.compose("down", "--volumes", "--remove-orphans", timeout_s=START_TIMEOUT_S)
