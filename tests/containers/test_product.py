"""The product's main job on its containers, from the start to an end in good order. The tests run as they stand."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from radrelay_local.demo import run
from support.containers import ComposedProduct

# The first test starts everything, which a busy machine takes long for.
pytestmark = pytest.mark.timeout(900)

ONCE = {"volumes", "tenants", "migrate-ingest", "migrate-report", "migrate-dashboard"}
PROCESSES = {
    *("edge", "frontend", "issuer", "nats", "minio", "postgres", "model-server", "inference-worker"),
    *(
        "ingest-api",
        "ingest-worker",
        "ingest-dimse",
        "report-api",
        "report-worker",
        "dashboard-api",
        "dashboard-worker",
    ),
}


def test_everything_is_healthy_and_what_runs_once_has_ended_well(product: ComposedProduct) -> None:
    states = {name: container["State"] for name, container in product.containers().items()}
    assert states.keys() == ONCE | PROCESSES
    assert {name for name, state in states.items() if state.get("Health", {}).get("Status") == "healthy"} == PROCESSES
    assert {name: states[name]["ExitCode"] for name in ONCE} == dict.fromkeys(ONCE, 0)


def test_every_container_runs_hardened(product: ComposedProduct) -> None:
    for name, container in product.containers().items():
        config, host = container["Config"], container["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert not host["Privileged"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name
        if name == "volumes":
            assert (config["User"], host["CapAdd"], host["NetworkMode"]) == ("0:0", ["CAP_CHOWN"], "none")
        else:
            assert (config["User"], host["CapAdd"]) == ("10001:10001", None), name
        assert not secrets_in(config["Env"], product.folder), name


def secrets_in(environment: list[str], folder: Path) -> list[str]:
    """Secrets that are in an environment, where they would be in every listing of it."""
    values = [path.read_text().strip() for path in (folder / "secrets").iterdir()]
    return [value for value in values if any(value in variable for variable in environment)]


def test_only_edge_and_dicom_intake_are_published_on_loopback(product: ComposedProduct) -> None:
    published = {name: container["NetworkSettings"]["Ports"] for name, container in product.containers().items()}
    bound = {name: [each for each in ports.values() if each] for name, ports in published.items()}
    assert {name for name, bindings in bound.items() if bindings} == {"edge", "ingest-dimse"}
    addresses = {binding["HostIp"] for bindings in bound.values() for each in bindings for binding in each}
    assert addresses == {"127.0.0.1"}


def test_the_demo_agrees_with_the_products_figures(product: ComposedProduct, tmp_path: Path) -> None:
    """Two tenants upload, read their reports and dashboards, and one asks for what is the other's in vain."""
    assert run(product, once=True, dicom=None, out=tmp_path) == 0


def test_the_tools_reach_store_and_broker(product: ComposedProduct) -> None:
    tool = ("run", "--rm", "--no-TTY", "tools")
    tenants = json.loads(product.compose(*tool, "tenants", "list", "--json"))
    assert {each["tenant"]: each["is_as_wanted"] for each in tenants} == {"north": True, "south": True}
    assert "No dead letters" in product.compose(*tool, "deadletters", "list")


@pytest.mark.parametrize("path", ["/", "/worklist"])
def test_the_frontend_is_served_with_its_policy(product: ComposedProduct, path: str) -> None:
    answer = httpx.get(f"{product.base_url}{path}")
    assert answer.status_code == 200
    assert "<title>Radrelay</title>" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_the_frontend_finds_its_identity_provider(product: ComposedProduct) -> None:
    configuration: dict[str, Any] = httpx.get(f"{product.base_url}/config.json").json()
    provider = httpx.get(f"{product.base_url}{configuration['issuer']}/.well-known/openid-configuration").json()
    assert provider["issuer"] == f"{product.base_url}/auth"


def test_what_nobody_serves_is_a_problem_document(product: ComposedProduct) -> None:
    answer = httpx.get(f"{product.base_url}/api/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_everything_ends_by_itself_when_told_to(product: ComposedProduct) -> None:
    """Comes last. Docker kills what does not end within its grace, which then ends with 137."""
    product.compose("stop", timeout_s=300)
    ends = {name: container["State"] for name, container in product.containers().items()}
    assert {name: end["ExitCode"] for name, end in ends.items()} == dict.fromkeys(ONCE | PROCESSES, 0)
    assert not [name for name, end in ends.items() if end["OOMKilled"]]
