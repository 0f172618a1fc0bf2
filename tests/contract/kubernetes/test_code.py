"""Manifests and code agree: processes, modules, ports, paths, times, versions."""

import importlib.util
import inspect
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.k8s.checks.manifests import Manifests, Workload
from deploy.k8s.checks.rendering import K8S
from deploy.k8s.checks.rules.availability import drain_s, pause_s
from inference_service.adapters.model_client import ModelClient
from inference_service.settings import BatchingSettings, WorkerSettings
from ingest_service.dimse.settings import DimseSettings
from ingest_service.settings import IngestSettings, UploadSettings, ValidationSettings
from radrelay_local.parts import edge, services
from radrelay_local.ports import SERVICE_PORTS
from radrelay_shared.database import DatabaseSettings
from radrelay_shared.http.application import READINESS_TIMEOUT_S
from radrelay_shared.messaging.topology import DURABLES, INFERENCE_LANES
from radrelay_shared.objects import ObjectStoreSettings
from report_service.settings import PatientReadingSettings
from support.manifests import FULL_CPU, environment, module_of, overlay, rendered, workload

ROOT = Path(__file__).parents[3]
APIS = ("ingest-api", "report-api", "dashboard-api")
WORKERS = ("ingest-worker", "inference-worker", "report-worker", "dashboard-worker")
CONNECTING_S = 5.0
"""To an object store or to the model server."""


@pytest.fixture(scope="module")
def manifests() -> Manifests:
    return rendered(*FULL_CPU)


def main_of(run: Workload) -> dict[str, Any]:
    (container, *_) = run.main_containers
    return container


def port_of(container: dict[str, Any], name: str) -> int:
    (port,) = [each["containerPort"] for each in container["ports"] if each["name"] == name]
    return int(port)


def test_the_processes_are_those_of_the_local_stack(manifests: Manifests) -> None:
    # The edge is the gateway's here, and the issuer is for development alone.
    expected = SERVICE_PORTS.keys() - {"edge", "issuer"} - {name for name in SERVICE_PORTS if "." in name}
    found = {each.name for each in manifests.workloads if each.kind == "Deployment"}
    assert found == expected | {"frontend"}
    assert all(each.process == each.name for each in manifests.workloads if each.kind == "Deployment")


def test_each_module_that_is_run_is_there(manifests: Manifests) -> None:
    modules = [module_of(container) for each in manifests.workloads for container in each.containers]
    named = [module for module in modules if module]
    assert len(named) > 15
    for module in named:
        package, _, attribute = module.partition(":")
        found = importlib.util.find_spec(package)
        assert found is not None, module
        assert found.origin is not None, module
        source = Path(found.origin).read_text("utf-8")
        if attribute:
            assert f"def {attribute}(" in source or f"class {attribute}:" in source, module
        else:
            assert "__main__" in source or found.origin.endswith("__main__.py") or _is_package(package), module


def _is_package(package: str) -> bool:
    return importlib.util.find_spec(f"{package}.__main__") is not None


def test_apis_listen_where_they_are_asked_under_the_path_that_clients_know(manifests: Manifests) -> None:
    paths = {process: path for path, process in edge.ROUTES.items()}
    for name in APIS:
        container = main_of(workload(manifests, name))
        assert f"--port={port_of(container, 'http')}" in container["command"]
        assert f"--root-path={paths[name]}" in container["command"]
        assert "FORWARDED_ALLOW_IPS" in environment(manifests, container)


def test_workers_serve_health_where_they_are_probed(manifests: Manifests) -> None:
    for name in WORKERS:
        container = main_of(workload(manifests, name))
        prefix = f"RADRELAY_{name.removesuffix('-worker').upper()}_"
        assert environment(manifests, container)[f"{prefix}HEALTH_PORT"] == str(port_of(container, "health"))
    dimse = main_of(workload(manifests, services.DIMSE))
    assert port_of(dimse, "dicom") == DimseSettings().port
    assert environment(manifests, dimse)["RADRELAY_INGEST_DIMSE__HEALTH_PORT"] == str(port_of(dimse, "health"))


def test_probes_ask_what_processes_answer(manifests: Manifests) -> None:
    for each in manifests.workloads:
        for container in each.main_containers:
            if not (each.is_long_running and module_of(container)):
                continue
            assert container["livenessProbe"]["httpGet"]["path"] == "/livez", each
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz", each
            assert container["readinessProbe"]["timeoutSeconds"] > READINESS_TIMEOUT_S, each


def test_the_worker_finds_the_model_server(manifests: Manifests) -> None:
    server, worker = (workload(manifests, name) for name in (services.MODEL_SERVER, services.INFERENCE_WORKER))
    url = environment(manifests, main_of(worker))["RADRELAY_INFERENCE_MODEL_URL"]
    assert url == f"http://{server.name}:{port_of(main_of(server), 'http')}"
    assert f"--port={port_of(main_of(server), 'http')}" in main_of(server)["command"]


def test_the_model_server_finds_its_bundle_where_it_is_copied_to(manifests: Manifests) -> None:
    server = workload(manifests, services.MODEL_SERVER)
    folder = Path(environment(manifests, main_of(server))["RADRELAY_INFERENCE_BUNDLE_DIRS"])
    mounts = {mount["name"]: Path(mount["mountPath"]) for mount in main_of(server)["volumeMounts"]}
    assert folder.parent == mounts["bundles"]
    assert (ROOT / "bundles" / folder.name / "bundle.yaml").is_file()


def longest_object_s() -> float:
    """A silent store is asked twice."""
    silent_s: float = ObjectStoreSettings.model_fields["timeout_s"].default
    return 2 * (silent_s + CONNECTING_S)


def longest_ends() -> dict[str, float]:
    """How long each process may take to end what it has in hand, from the settings' defaults."""
    begin_s = DatabaseSettings.model_fields["begin_timeout_s"].default
    reading_s = 2 * PatientReadingSettings().timeout_s
    dimse = DimseSettings()
    decoding_s = 2 * WorkerSettings.model_fields["decode_timeout_s"].default
    model_s = inspect.signature(ModelClient.__init__).parameters["timeout_s"].default
    return {
        "ingest-worker": 2 * ValidationSettings().timeout_s + UploadSettings().store_timeout_s + begin_s,
        "ingest-dimse": dimse.grace_s + dimse.dimse_timeout_s + 5.0,
        "inference-worker": longest_object_s() + decoding_s + model_s,
        "report-worker": reading_s + longest_object_s() + begin_s,
        "dashboard-worker": 2 * begin_s,
        "model-server": BatchingSettings().max_latency_ms / 1000 + 30,
    }


def test_grace_is_longer_than_what_is_in_hand(manifests: Manifests) -> None:
    for name, longest_s in longest_ends().items():
        run = workload(manifests, name)
        grace_s = run.pod["terminationGracePeriodSeconds"]
        assert grace_s >= pause_s(main_of(run)) + longest_s, name
    for name in APIS:
        run = workload(manifests, name)
        assert run.pod["terminationGracePeriodSeconds"] > pause_s(main_of(run)) + drain_s(main_of(run)), name


def test_no_durable_waits_for_an_acknowledgement_longer_than_workers_have_to_end(manifests: Manifests) -> None:
    """What a worker that was killed had in hand is delivered again before its successor could be killed too."""
    lanes = [lane.durable("north") for lane in INFERENCE_LANES]
    longest = max(durable.ack_wait_s for durable in (*DURABLES, *lanes))
    for name in WORKERS:
        assert workload(manifests, name).pod["terminationGracePeriodSeconds"] > longest, name


def test_uploads_lie_in_the_volume_that_is_theirs(manifests: Manifests) -> None:
    for name in ("ingest-api", "ingest-worker", services.DIMSE):
        container = main_of(workload(manifests, name))
        (mount,) = [each for each in container["volumeMounts"] if each["name"] == "spool"]
        assert environment(manifests, container)["RADRELAY_INGEST_UPLOAD__SPOOL_DIR"] == mount["mountPath"]
        assert "readOnly" not in mount


def version() -> str:
    found = {
        tomllib.loads((ROOT / path / "pyproject.toml").read_text("utf-8"))["project"]["version"]
        for path in ("services/ingest_service", "services/report_service", "services/dashboard_service", "deploy/local")
    }
    (single,) = found
    return str(single)


def test_images_and_migrations_are_those_of_this_release(manifests: Manifests) -> None:
    images = {container["image"] for each in manifests.workloads for container in each.containers}
    ours = {image for image in images if image.startswith("radrelay/")}
    assert {image.rpartition(":")[2] for image in ours} == {version()}
    jobs = {each.name for each in manifests.workloads if each.kind == "Job"}
    assert jobs == {f"migrate-{service}-{version().replace('.', '-')}" for service in ("ingest", "report", "dashboard")}
    cuda = yaml.safe_load((K8S / "components" / "gpu" / "kustomization.yaml").read_text("utf-8"))["images"]
    assert cuda == [{"name": "radrelay/inference-cuda", "newName": "radrelay/inference", "newTag": f"{version()}-cuda"}]
    fallback = K8S / "components" / "gpu-fallback" / "model-server" / "kustomization.yaml"
    assert {each["newTag"] for each in yaml.safe_load(fallback.read_text("utf-8"))["images"]} == {version()}


def test_a_migration_refers_to_nothing_that_changes_its_name(manifests: Manifests) -> None:
    """A Job's pod cannot be changed: a settings' hash in it would make the next apply fail."""
    hashed = {each["metadata"]["name"] for each in manifests.of_kind("ConfigMap")}
    for each in manifests.workloads:
        if each.kind == "Job":
            assert not any(name in json.dumps(each.template) for name in hashed)


@pytest.mark.parametrize("name", ["dev", "production"])
def test_the_frontend_and_the_services_trust_one_issuer(name: str) -> None:
    maps = {each["metadata"]["name"].rsplit("-", 1)[0]: each["data"] for each in overlay(name).of_kind("ConfigMap")}
    configuration = json.loads(maps["frontend-configuration"]["config.json"])
    issuer: str = configuration["issuer"]
    if issuer.startswith("/"):
        (route,) = [each for each in overlay(name).of_kind("HTTPRoute") if each["metadata"]["name"] == "issuer"]
        assert route["spec"]["rules"][0]["matches"][0]["path"]["value"] == issuer
        assert maps["platform"]["auth-issuer"].endswith(issuer)
    else:
        assert maps["platform"]["auth-issuer"] == issuer
        assert issuer.startswith(f"{maps['platform']['frontend-connect']}/")
    example = json.loads((ROOT / edge.FRONTEND / "public" / "config.json").read_text("utf-8"))
    assert configuration.keys() == example.keys()
    assert configuration["apis"] == example["apis"]


def test_settings_of_ingest_have_the_peers_that_the_dev_overlay_gives() -> None:
    dimse = main_of(workload(overlay("dev"), services.DIMSE))
    peers = json.loads(environment(overlay("dev"), dimse)["RADRELAY_INGEST_DIMSE__PEERS"])
    assert IngestSettings.model_fields["dimse"].annotation is DimseSettings
    (peer,) = DimseSettings.model_validate({"peers": peers}).peers
    assert peer.calling_ae == services.DEMONSTRATION_PEER["calling_ae"]
