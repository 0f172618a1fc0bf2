"""A run on containers says what it lacks."""

import os
import subprocess
import sys

import docker
import pytest
from docker.errors import APIError, DockerException, ImageNotFound

from support import servers


class Images:
    """Of a Docker that has none, and reaches no registry."""

    def get(self, name: str) -> None:
        raise ImageNotFound(name)

    def pull(self, name: str) -> None:
        raise APIError(name)


class Client:
    images = Images()

    def ping(self) -> bool:
        return True

    def close(self) -> None:
        """Close nothing."""


def test_without_docker_it_is_said_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_docker() -> None:
        raise DockerException("connection refused")

    monkeypatch.setattr(docker, "from_env", no_docker)
    with pytest.raises(pytest.exit.Exception, match="Docker does not answer"):
        servers.require_images()


def test_a_run_without_docker_ends_with_that_and_without_a_traceback() -> None:
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    command = [sys.executable, "-m", "pytest", "tests/unit/shared/test_lanes.py", "--servers", "containers"]
    command += ["--numprocesses", "2", "-p", "no:cacheprovider"]
    run = subprocess.run(command, check=False, env=environment, cwd=servers.ROOT, capture_output=True, text=True)
    said = run.stdout + run.stderr
    assert run.returncode == 1
    assert "Docker does not answer: install it (Debian: docker.io)" in said
    assert "Traceback" not in said


def test_an_image_that_is_not_to_be_had_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "from_env", Client)
    monkeypatch.setenv("NATS_IMAGE", "registry/mine:1")
    with pytest.raises(pytest.exit.Exception, match=r"registry/mine:1 is not here .* NATS_IMAGE, or make images"):
        servers.require_images()


def test_the_images_are_those_of_the_deployment() -> None:
    assert servers.IMAGES.keys() == {"NATS_IMAGE", "MINIO_IMAGE", "POSTGRES_IMAGE"}
