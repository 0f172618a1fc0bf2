"""Where the tests' NATS, S3 and PostgreSQL come from: the embedded stack, or containers.

Tests of the embedded stack itself, and those that kill a server, have embedded servers of their own either way.
"""

import asyncio
import base64
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg
import docker
import pytest
from docker.errors import DockerException, ImageNotFound
from testcontainers.core.container import DockerContainer

from radrelay_local import checks
from radrelay_local.credentials import Credentials
from radrelay_local.home import Home
from radrelay_local.parts import objects, postgres
from radrelay_local.ports import INFRASTRUCTURE_PORTS, LOOPBACK, choose_ports
from radrelay_local.stack import Infrastructure, start_infrastructure
from radrelay_local.state import State
from radrelay_local.tenants.buckets import TenantBuckets
from radrelay_shared.objects import OUTAGES

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final = ROOT / "deploy" / "compose"
IMAGES: Final = dict(re.findall(r"\$\{(\w+_IMAGE):-([^}]+)\}", (COMPOSE / "infrastructure.yaml").read_text("utf-8")))
"""Those of the deployment, by the variables that name others."""
STAND_INS: Final = "make images IMAGE='test-nats test-seaweedfs test-postgres'"
_READY_WITHIN_S: Final = 120.0


def servers_from(source: str, folder: Path) -> AbstractContextManager[Infrastructure]:
    """The servers of `embedded` or `containers`, running inside the block."""
    if source == "containers":
        return _contained(folder)
    return start_infrastructure(folder, prefer_usual_ports=False)


@contextmanager
def _contained(folder: Path) -> Iterator[Infrastructure]:
    """Servers in containers that have the ports and the passwords which the embedded ones would have.

    So whoever reads the folder of a stack finds them, as do commands with `--home`.
    """
    home = Home(folder)
    credentials = Credentials.of(home)
    ports = choose_ports(INFRASTRUCTURE_PORTS, {}, (), prefer_usual=False)
    State(home.state_file).set_ports(ports)
    infrastructure = Infrastructure(folder, prefer_usual_ports=False)
    with ExitStack() as running:
        running.callback(infrastructure.down)  # MinIO's gateway, where a test asked for it
        for container in (_nats(folder, ports, credentials), _s3(ports, credentials), _postgres(ports, credentials)):
            running.enter_context(container)
        _until_ready("NATS", checks.http_ok(ports["nats.monitor"], "/healthz"))
        _until_ready("S3", partial(_s3_answers, infrastructure))
        _until_ready("PostgreSQL", partial(_postgres_answers, infrastructure))
        yield infrastructure


def _nats(folder: Path, ports: dict[str, int], credentials: Credentials) -> DockerContainer:
    password = folder / "password.conf"
    password.write_text(f'password: "{credentials.nats_password}"\n')
    configuration = COMPOSE / "nats" / "nats.conf"
    return (
        _container("NATS_IMAGE", {4222: ports["nats"], 8222: ports["nats.monitor"]})
        .with_volume_mapping(configuration, "/etc/nats/nats.conf")
        .with_volume_mapping(password, "/etc/nats/password.conf")
        .with_command("--config /etc/nats/nats.conf")
    )


def _s3(ports: dict[str, int], credentials: Credentials) -> DockerContainer:
    return (
        _container("MINIO_IMAGE", {9000: ports[objects.SEAWEEDFS]})
        .with_env("MINIO_ROOT_USER", objects.ACCESS_KEY)
        .with_env("MINIO_ROOT_PASSWORD", credentials.objects_secret_key)
        # Without it MinIO does not encrypt what lies in the buckets.
        .with_env("MINIO_KMS_SECRET_KEY", f"tests:{base64.b64encode(secrets.token_bytes(32)).decode()}")
        .with_command("server /data")
    )


def _postgres(ports: dict[str, int], credentials: Credentials) -> DockerContainer:
    options = " ".join(f"-c {name}={value}" for name, value in postgres.SERVER_OPTIONS.items())
    return (
        _container("POSTGRES_IMAGE", {5432: ports[postgres.NAME]})
        .with_env("POSTGRES_PASSWORD", credentials.postgres_password)
        .with_command(f"postgres {options}")
    )


def _container(variable: str, ports: dict[int, int]) -> DockerContainer:
    container = DockerContainer(_image(variable))
    # Nobody but this machine reaches them.
    container.ports = {inside: (LOOPBACK, outside) for inside, outside in ports.items()}  # type: ignore[misc]  # Docker's client takes it; testcontainers' hint is narrower
    return container


def _image(variable: str) -> str:
    return os.environ.get(variable) or IMAGES[variable]


def require_images() -> None:
    """End the run, and say what is needed, where Docker or an image is not to be had."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException:
        pytest.exit("Docker does not answer: install it (Debian: docker.io) and start it, or leave out --servers", 1)
    with closing(client):
        for variable in IMAGES:
            image = _image(variable)
            try:
                client.images.get(image)
            except ImageNotFound:
                try:
                    client.images.pull(image)
                except DockerException:
                    pytest.exit(
                        f"{image} is not here and cannot be pulled: name another by {variable}, or {STAND_INS}", 1
                    )


def _until_ready(what: str, ready: checks.Check) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while not ready():
        assert time.monotonic() < deadline, f"the container of {what} is not ready after {_READY_WITHIN_S:g} s"
        time.sleep(0.1)


def _s3_answers(infrastructure: Infrastructure) -> bool:
    try:
        with TenantBuckets(infrastructure.objects) as buckets:
            buckets.all()
    except OUTAGES:
        return False
    return True


def _postgres_answers(infrastructure: Infrastructure) -> bool:
    async def connect() -> None:
        connection = await asyncpg.connect(infrastructure.postgres_admin_url)
        await connection.close()

    return _succeeds(lambda: asyncio.run(connect()))


def _succeeds(call: Callable[[], None]) -> bool:
    try:
        call()
    except (OSError, asyncpg.PostgresError):
        return False
    return True
