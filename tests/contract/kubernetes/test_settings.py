"""What a container is given is what its process reads: exactly that, by the process' own settings classes."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_settings import BaseSettings

from dashboard_service.settings import DashboardSettings
from deploy.k8s import development_secrets
from deploy.k8s.checks.manifests import Manifests, Workload
from deploy.k8s.checks.rendering import OVERLAYS
from inference_service.settings import BatchingSettings, ServerSettings, WorkerSettings
from ingest_service.settings import IngestSettings
from radrelay_local import stores
from radrelay_local.issuer.settings import IssuerSettings
from radrelay_shared.database.prepare import MigrationSettings
from report_service.settings import ReportSettings
from support.manifests import environment, module_of, mount_secrets, overlay, workload

SETTINGS: dict[str, tuple[type[BaseSettings], ...]] = {
    "ingest_service.main:create_app": (IngestSettings,),
    "ingest_service.worker": (IngestSettings,),
    "ingest_service.dimse": (IngestSettings,),
    "ingest_service.reconcile": (IngestSettings,),
    "report_service.main:create_app": (ReportSettings,),
    "report_service.worker": (ReportSettings,),
    "dashboard_service.main:create_app": (DashboardSettings,),
    "dashboard_service.worker": (DashboardSettings,),
    "inference_service.worker": (WorkerSettings,),
    "inference_service.server:Screening": (ServerSettings, BatchingSettings),
    "radrelay": (stores._Environment,),
    "radrelay_local.issuer.main:create_app": (IssuerSettings,),
}
OPTIONAL = {
    "rate-limits": {"store_url": "valkey://valkey.example.org:6379/0"},
    "report-patients": {"patients": "{}"},
    "ingest-deidentification": {"deidentification": '{"north": {"mode": "off"}}'},
    "dimse-tls": {"tls.crt": "certificate", "tls.key": "key", "ca.crt": "authority"},
}
DATABASE = {"pooler": "transaction", "listen_url": "postgresql+asyncpg://a:b@direct/r", "sslmode": "verify-full"}
NOT_OURS = {"FORWARDED_ALLOW_IPS", "BENTOML_HOME", "BENTOML_DO_NOT_TRACK", "RADRELAY_SECRETS_DIR", "TENANT"}
"""Variables of uvicorn and BentoML, where secrets are, and what a Job of `tenants` is given."""
FILES_OF_SETTINGS = "radrelay_"


@dataclass(frozen=True)
class Case:
    """One container of an overlay that runs a process of ours."""

    manifests: Manifests
    workload: Workload
    container: dict[str, Any]

    @property
    def platform(self) -> dict[str, str]:
        (found,) = [
            each["data"]
            for each in self.manifests.of_kind("ConfigMap")
            if each["metadata"]["name"].startswith("platform-")
        ]
        data: dict[str, str] = found
        return data

    @property
    def name(self) -> str:
        return f"{self.workload} {self.container['name']}"


def cases() -> list[Case]:
    found = [
        Case(overlay(name), workload, container)
        for name in OVERLAYS
        for workload in overlay(name).workloads
        for container in workload.containers
        if module_of(container) or container.get("command", [""])[0] == "radrelay"
    ]
    assert len(found) > 35
    return found


def settings_of(container: dict[str, Any]) -> tuple[type[BaseSettings], ...]:
    """The classes of a process; a migration's takes its service's prefix."""
    module = module_of(container) or "radrelay"
    if module.endswith(".migrate"):
        return (MigrationSettings.for_service(module.partition("_service")[0]),)
    return SETTINGS[module]


def load(case: Case, made: dict[str, dict[str, str]], folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The settings of a process that finds exactly what its container has."""
    given = environment(case.manifests, case.container)
    mounts = {mount["name"]: mount["mountPath"] for mount in case.container["volumeMounts"]}
    with monkeypatch.context() as patched:
        for name in [name for name in os.environ if name.startswith("RADRELAY_")]:
            patched.delenv(name)
        for name, value in given.items():
            patched.setenv(name, value)
        if "secrets" in mounts:
            assert given["RADRELAY_SECRETS_DIR"] == mounts["secrets"] == "/run/secrets"
            mount_secrets(folder, case.workload, made)
            patched.setenv("RADRELAY_SECRETS_DIR", str(folder))
        return [each() for each in settings_of(case.container)]


def is_a_setting(model: type[BaseModel], path: list[str]) -> bool:
    """Whether nested names lead to a field; below a map of its own, any do."""
    field = model.model_fields.get(path[0])
    if field is None:
        return False
    if len(path) == 1:
        return True
    kinds = [each for each in (field.annotation, *getattr(field.annotation, "__args__", ())) if isinstance(each, type)]
    return any(issubclass(kind, BaseModel) and is_a_setting(kind, path[1:]) for kind in kinds)


def test_each_process_starts_with_exactly_what_its_container_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, case in enumerate(cases()):
        made = development_secrets.contents()
        (loaded, *_) = load(case, made, tmp_path / f"{number}", monkeypatch)
        component = case.workload.labels["app.kubernetes.io/component"]
        if database := getattr(loaded, "database", None):
            across_tenants = component in {"worker", "job", "migration"}
            assert (database.system_url is not None) == across_tenants, case.name
            assert (database.owner_url is not None) == (component == "migration"), case.name
        if nats := getattr(loaded, "nats", None):
            assert (nats.password is not None) == (component == "worker"), case.name
            assert component != "worker" or nats.url == case.platform["nats-url"], case.name
            assert component != "worker" or nats.streams.replicas == 3, case.name


def test_each_process_takes_what_may_be_given_besides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {**development_secrets.contents(), **OPTIONAL}
    made |= {name: {**made[name], **DATABASE} for name in made if name.endswith("-database")}
    for number, case in enumerate(cases()):
        (loaded, *_) = load(case, made, tmp_path / f"{number}", monkeypatch)
        if database := getattr(loaded, "database", None):
            assert database.pooler == "transaction", case.name
            assert database.listen_url is not None, case.name


def test_each_variable_and_each_file_is_a_setting_of_the_process() -> None:
    for case in cases():
        files = {path for _, given, _ in case.workload.secrets() for path in given.values()}
        mounted = any(mount["name"] == "secrets" for mount in case.container["volumeMounts"])
        named = {path for path in files if path.startswith(FILES_OF_SETTINGS) and mounted}
        for name in (environment(case.manifests, case.container).keys() - NOT_OURS) | named:
            # A pod's volume is all its containers': what waits for a schema reads of it what it needs.
            shared = case.container["name"] == "wait-for-schema" and name in named
            assert is_known(settings_of(case.container), name.lower()) or shared, f"{case.name}: {name}"


def is_known(classes: tuple[type[BaseSettings], ...], name: str) -> bool:
    """Whether one of the classes has a field for a variable."""
    prefixes = [(each, str(each.model_config["env_prefix"]).lower()) for each in classes]
    return any(
        name.startswith(prefix) and is_a_setting(each, name.removeprefix(prefix).split("__"))
        for each, prefix in prefixes
    )


def test_a_variable_that_is_no_setting_is_told_from_one() -> None:
    classes = (IngestSettings,)
    assert is_known(classes, "radrelay_ingest_upload__spool_dir")
    assert not is_known(classes, "radrelay_ingest_upload__spool_directory")
    assert not is_known(classes, "radrelay_report_upload__spool_dir")
    assert not is_known((WorkerSettings,), "radrelay_inference_auth__issuer")


def removed(made: dict[str, dict[str, str]], name: str, key: str) -> dict[str, dict[str, str]]:
    return {**made, name: {each: value for each, value in made[name].items() if each != key}}


def test_a_secret_that_nobody_makes_is_missed(tmp_path: Path) -> None:
    worker = workload(overlay("dev"), "report-worker")
    with pytest.raises(KeyError, match="system_url"):
        mount_secrets(tmp_path, worker, removed(development_secrets.contents(), "report-database", "system_url"))


def test_a_variable_that_is_not_given_ends_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (case, *_) = [each for each in cases() if each.container["name"] == "report-api"]
    less = [each for each in case.container["env"] if not each["name"].endswith("JWKS_URL")]
    with pytest.raises(ValueError, match="jwks_url"):
        load(
            replace(case, container={**case.container, "env": less}),
            development_secrets.contents(),
            tmp_path,
            monkeypatch,
        )


def test_secrets_from_elsewhere_and_for_development_have_the_names_that_are_needed() -> None:
    needed = {name for each in overlay("production").workloads for name, _, optional in each.secrets() if not optional}
    brought = {each["spec"]["target"]["name"] for each in overlay("production").of_kind("ExternalSecret")}
    assert brought == needed
    keys = {
        (name, key)
        for each in overlay("dev").workloads
        for name, files, optional in each.secrets()
        for key in files
        if not optional
    }
    made = development_secrets.contents()
    assert {name for name, _ in keys} <= made.keys()
    assert all(key in made[name] for name, key in keys)
    documents = development_secrets.manifests()
    assert {each["metadata"]["name"] for each in documents} == made.keys()
    assert development_secrets.contents()["nats"]["password"] != made["nats"]["password"]
