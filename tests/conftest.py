"""Fixtures that every kind of test may ask for."""

import os

# Before anything loads OpenMP: threads of two test processes that wait for each other's cores would spin on them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from radrelay_local import preconditions
from radrelay_local.errors import StackError
from radrelay_local.stack import start_stack
from support.otlp import Receiver, receiving
from support.servers import require_images, servers_from
from support.stack import Infrastructure, ProvisionedDatabases, RunningStack, provisioned_databases
from support.tenants import tenants_on
from support.tokens import TestIssuer, run_issuer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--api-examples", type=int, default=10, help="generated requests for each operation of the HTTP APIs"
    )
    parser.addoption(
        "--servers",
        choices=("embedded", "containers"),
        default="embedded",
        help="where `infra` gets NATS, S3 and PostgreSQL from; containers need Docker",
    )


def pytest_configure() -> None:
    """Let a run that is told to end take the servers with it that it started, as with Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Workers of pytest-xdist are told a width of 80, which consoles that are made then keep.
    for size in ("COLUMNS", "LINES"):
        os.environ.pop(size, None)
    # No test judges how long anything takes, and hypothesis would.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")


def pytest_sessionstart(session: pytest.Session) -> None:
    """End at once where no stack can start, such as on a full disk: every test that needs one would say so.

    Before there are processes of pytest-xdist, which would end with a traceback in place of the message.
    """
    if session.config.getoption("servers") == "containers":
        require_images()
    try:
        preconditions.check(Path(tempfile.gettempdir()))
    except StackError as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)


@pytest.fixture(scope="session")
def api_examples(pytestconfig: pytest.Config) -> int:
    """How much schemathesis tries."""
    examples: int = pytestconfig.getoption("api_examples")
    return examples


@pytest.fixture(scope="session")
def infra(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Infrastructure]:
    """NATS, S3 and PostgreSQL, with nothing of Radrelay running on them."""
    folder = tmp_path_factory.mktemp("infra")
    with servers_from(pytestconfig.getoption("servers"), folder) as running, tenants_on(running.objects):
        yield running


@pytest.fixture(scope="session")
def provisioned(infra: Infrastructure) -> ProvisionedDatabases:
    """A function from a service's name to the addresses of its own, migrated database on `infra`."""
    return provisioned_databases(infra)


@pytest.fixture(scope="session")
def telemetry() -> Iterator[Receiver]:
    """Gets the spans of `stack`."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, telemetry: Receiver) -> Iterator[RunningStack]:
    """Everything: infrastructure, services, edge and token issuer."""
    folder = tmp_path_factory.mktemp("stack")
    started = start_stack(folder, prefer_usual_ports=False, otlp_endpoint=telemetry.endpoint)
    with started as running, tenants_on(running.objects):
        yield running


@pytest.fixture(scope="session")
def issuer() -> Iterator[TestIssuer]:
    """Signs tokens for services that a test runs by themselves; the stack has an issuer of its own."""
    with run_issuer() as running:
        yield running
