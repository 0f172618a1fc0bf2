"""Radrelay's own processes, and the settings that tell them where everything is."""

import json
from collections.abc import Mapping
from pathlib import Path

from radrelay_local import checks
from radrelay_local.commands import run_logged
from radrelay_local.credentials import STATEFUL_SERVICES, Credentials
from radrelay_local.definition import Job, ProcessDefinition
from radrelay_local.errors import StackError
from radrelay_local.home import Home
from radrelay_local.parts import edge, issuer, nats, objects, postgres
from radrelay_local.people import ADA, DEVELOPMENT_TENANTS
from radrelay_local.ports import LOOPBACK
from radrelay_local.programs import python

BUNDLE_JOB = "bundle"
MODEL_SERVER = "model-server"
INFERENCE_WORKER = "inference-worker"
DIMSE = "ingest-dimse"
AE_TITLE = "RADRELAY"
DEMONSTRATION_PEER = {"calling_ae": "DEMO", "called_ae": AE_TITLE, "tenant": ADA.tenant, "owner_id": ADA.name}
"""Who may send images over the DICOM network, and whose they are: a tenant and a person of the demo."""

_USES_OBJECTS = ("ingest", "report")
_PATHS = {process: path for path, process in edge.ROUTES.items()}
_HTTP_DRAIN_S = 10
_MODEL_READY_TIMEOUT_S = 180.0
_WORKER_GRACE_S = 90.0


class Services:
    """Definitions of all processes and jobs of the services."""

    def __init__(
        self,
        home: Home,
        ports: dict[str, int],
        credentials: Credentials,
        bundle: Path,
        otlp_endpoint: str | None = None,
    ) -> None:
        self._home = home
        self._ports = ports
        self._credentials = credentials
        self._bundle = bundle.resolve()
        self._otlp_endpoint = otlp_endpoint

    def all(self) -> list[ProcessDefinition | Job]:
        """Everything the services consist of."""
        stateful = [
            part
            for service in STATEFUL_SERVICES
            for part in (self._migration(service), self._api(service), self._worker(service))
        ]
        return [*stateful, self._dimse(), *self._inference()]

    def reconciliation(self) -> tuple[tuple[str, ...], dict[str, str]]:
        """The command that compares the object store with the ingest service's database, and its environment."""
        env = self._settings("ingest", {"DATABASE__APP_URL": "app", "DATABASE__SYSTEM_URL": "system"})
        return (python(), "-m", "ingest_service.reconcile"), env

    def rebuilding(self) -> tuple[tuple[str, ...], dict[str, str]]:
        """The command that makes the dashboard's figures anew from the streams, and its environment."""
        env = self._settings("dashboard", {"DATABASE__APP_URL": "app", "DATABASE__SYSTEM_URL": "system"})
        return (python(), "-m", "dashboard_service.rebuild"), env

    def _migration(self, service: str) -> Job:
        env = self._settings(service, {"DATABASE__APP_URL": "app", "DATABASE__OWNER_URL": "owner"})
        return self._command_job(
            f"migrate-{service}", f"{service}_service.migrate", (), env, after=(postgres.PROVISION_JOB,)
        )

    def _api(self, service: str) -> ProcessDefinition:
        name = f"{service}-api"
        return ProcessDefinition(
            name=name,
            command=(
                *(python(), "-m", "uvicorn", "--factory", f"{service}_service.main:create_app"),
                *("--host", LOOPBACK, "--port", str(self._ports[name])),
                # Clients see the service under this path, and so do the addresses in its OpenAPI document.
                *("--root-path", _PATHS[name], "--no-access-log"),
                *("--timeout-graceful-shutdown", str(_HTTP_DRAIN_S)),
            ),
            env={**self._settings(service, {"DATABASE__APP_URL": "app"}), **self._api_settings(service)},
            folder=self._home.data(name),
            address=f"{edge.origin(self._ports)}{_PATHS[name]}",
            ready=checks.http_ok(self._ports[name], "/readyz"),
            after=self._needs(service),
        )

    def _api_settings(self, service: str) -> dict[str, str]:
        """What only the API of a service reads."""
        if service != "report":
            return {}
        return _prefixed(service, {"LINKS__KEYS": json.dumps([self._credentials.report_link_key])})

    def _worker(self, service: str) -> ProcessDefinition:
        env = self._settings(service, {"DATABASE__APP_URL": "app", "DATABASE__SYSTEM_URL": "system"})
        if service == "report":
            env |= _prefixed(service, {"OBSERVABILITY__TENANTS": json.dumps(DEVELOPMENT_TENANTS)})
        return self._worker_process(service, env, self._needs(service))

    def _dimse(self) -> ProcessDefinition:
        health_port = self._ports[f"{DIMSE}.health"]
        own = {
            "DIMSE__AE_TITLE": AE_TITLE,
            "DIMSE__HOST": LOOPBACK,
            "DIMSE__PORT": str(self._ports[DIMSE]),
            "DIMSE__HEALTH_HOST": LOOPBACK,
            "DIMSE__HEALTH_PORT": str(health_port),
            "DIMSE__PEERS": json.dumps([DEMONSTRATION_PEER]),
        }
        return ProcessDefinition(
            name=DIMSE,
            command=(python(), "-m", "ingest_service.dimse"),
            env={**self._settings("ingest", {"DATABASE__APP_URL": "app"}), **_prefixed("ingest", own)},
            folder=self._home.data(DIMSE),
            address=f"dicom://{LOOPBACK}:{self._ports[DIMSE]}",
            ready=checks.http_ok(health_port, "/readyz"),
            after=self._needs("ingest"),
            grace_s=_WORKER_GRACE_S,
        )

    def _needs(self, service: str) -> tuple[str, ...]:
        parts = (nats.NAME, issuer.NAME, f"migrate-{service}")
        return (*parts, objects.TENANTS_JOB) if service in _USES_OBJECTS else parts

    def _settings(self, service: str, database: Mapping[str, str]) -> dict[str, str]:
        """The environment of a stateful service; `database` names the role behind each of its addresses."""
        values = {**self._nats_settings(), **self._auth_settings(), **self._tracing_settings()}
        if service in _USES_OBJECTS:
            values |= self._object_settings()
        if service == "report":
            # Whoever asks for an erasure here looks on.
            values |= {**self._destination_settings(), "ERASURE__INTERVAL_S": "5"}
        for key, role in database.items():
            values[key] = postgres.role_url(self._ports, self._credentials, service, role)
        return _prefixed(service, values)

    def _nats_settings(self) -> dict[str, str]:
        return {
            "NATS__URL": nats.url(self._ports),
            "NATS__USER": nats.USER,
            "NATS__PASSWORD": self._credentials.nats_password,
        }

    def _tracing_settings(self) -> dict[str, str]:
        return {"OBSERVABILITY__OTLP_ENDPOINT": self._otlp_endpoint} if self._otlp_endpoint else {}

    def _object_settings(self) -> dict[str, str]:
        store = objects.settings(objects.SEAWEEDFS, self._ports, self._credentials)
        return {
            "OBJECTS__ENDPOINT": store.endpoint,
            "OBJECTS__ACCESS_KEY": store.access_key,
            "OBJECTS__SECRET_KEY": store.secret_key.get_secret_value(),
            "OBJECTS__BUCKET_PREFIX": store.bucket_prefix,
            "OBJECTS__SECURE": "false",
        }

    def _destination_settings(self) -> dict[str, str]:
        """Results may be sent to whatever listens on this machine."""
        return {
            "DESTINATIONS__HOSTS": json.dumps([f"http://{LOOPBACK}:*"]),
            "DESTINATIONS__SEALING": json.dumps([self._credentials.report_destination_key]),
        }

    def _auth_settings(self) -> dict[str, str]:
        return {
            "AUTH__ISSUER": issuer.identifier(self._ports),
            "AUTH__AUDIENCE": issuer.AUDIENCE,
            "AUTH__JWKS_URL": issuer.jwks_url(self._ports),
        }

    def _inference(self) -> list[ProcessDefinition | Job]:
        port = self._ports[MODEL_SERVER]
        model_url = f"http://{LOOPBACK}:{port}"
        server = ProcessDefinition(
            name=MODEL_SERVER,
            command=(
                *(python(), "-m", "bentoml", "serve", "inference_service.server:Screening"),
                *("--host", LOOPBACK, "--port", str(port)),
            ),
            env={
                **_prefixed("inference", {"BUNDLE_DIRS": str(self._bundle), **self._tracing_settings()}),
                "BENTOML_DO_NOT_TRACK": "True",
                "BENTOML_HOME": str(self._home.data(MODEL_SERVER)),
            },
            folder=self._home.data(MODEL_SERVER),
            address=model_url,
            ready=checks.http_ok(port, "/readyz"),
            after=(BUNDLE_JOB,),
            grace_s=_WORKER_GRACE_S,
            ready_timeout_s=_MODEL_READY_TIMEOUT_S,
        )
        settings = {
            **self._nats_settings(),
            **self._object_settings(),
            **self._tracing_settings(),
            "MODEL_URL": model_url,
        }
        needs = (nats.NAME, objects.TENANTS_JOB, MODEL_SERVER)
        return [
            Job(BUNDLE_JOB, self._require_bundle),
            server,
            self._worker_process("inference", _prefixed("inference", settings), needs),
        ]

    def _worker_process(self, service: str, env: dict[str, str], after: tuple[str, ...]) -> ProcessDefinition:
        name = f"{service}-worker"
        port = self._ports[name]
        return ProcessDefinition(
            name=name,
            command=(python(), "-m", f"{service}_service.worker"),
            env={**env, **_prefixed(service, {"HEALTH_HOST": LOOPBACK, "HEALTH_PORT": str(port)})},
            folder=self._home.data(name),
            address=f"http://{LOOPBACK}:{port}",
            ready=checks.http_ok(port, "/readyz"),
            after=after,
            grace_s=_WORKER_GRACE_S,
        )

    def _require_bundle(self) -> None:
        if not (self._bundle / "bundle.yaml").is_file():
            raise StackError(f"{self._bundle} is no model bundle: it has no bundle.yaml")

    def _command_job(
        self, name: str, module: str, arguments: tuple[str, ...], env: Mapping[str, str], *, after: tuple[str, ...]
    ) -> Job:
        command = (python(), "-m", module, *arguments)
        return Job(name, lambda: run_logged(command, env=env, log=self._home.log(name)), after=after)


def _prefixed(service: str, values: Mapping[str, str]) -> dict[str, str]:
    return {f"RADRELAY_{service.upper()}_{key}": value for key, value in values.items()}
