"""Fixtures that every kind of test may ask for."""

import signal
from collections.abc import Iterator

import pytest

from radrelay_local.stack import start_infrastructure, start_stack
from support.stack import Infrastructure, ProvisionedDatabases, RunningStack, provisioned_databases
from support.tokens import TestIssuer, run_issuer


def pytest_configure() -> None:
    """Let a run that is told to end take the servers with it that it started, as with Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def infra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Infrastructure]:
    """NATS, S3 and PostgreSQL, with nothing of Radrelay running on them."""
    with start_infrastructure(tmp_path_factory.mktemp("infra"), prefer_usual_ports=False) as infrastructure:
        yield infrastructure


@pytest.fixture(scope="session")
def provisioned(infra: Infrastructure) -> ProvisionedDatabases:
    """A function from a service's name to the addresses of its own, migrated database on `infra`."""
    return provisioned_databases(infra)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Everything: infrastructure, services, edge and token issuer."""
    with start_stack(tmp_path_factory.mktemp("stack"), prefer_usual_ports=False) as running:
        yield running


@pytest.fixture(scope="session")
def issuer() -> Iterator[TestIssuer]:
    """Signs tokens for services that a test runs by themselves; the stack has an issuer of its own."""
    with run_issuer() as running:
        yield running
