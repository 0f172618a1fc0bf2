"""The embedded stack as an object: bring it up, use it, hurt it, bring it down.

with start_infrastructure(Path("build/infra")) as infrastructure:
    ... infrastructure.nats_url, .objects, .postgres_admin_url

with start_stack(Path("build/stack")) as stack:
    ... stack.base_url, stack.issue_token("north", "ada", ["clinician"]), stack.kill("inference-worker")
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

from radrelay_local.client.development_tokens import development_token
from radrelay_local.commands import run_attached
from radrelay_local.control import Control
from radrelay_local.credentials import Credentials
from radrelay_local.definition import Plan
from radrelay_local.home import Home
from radrelay_local.parts import edge, issuer, nats, objects, postgres
from radrelay_local.parts.services import AE_TITLE, DEMONSTRATION_PEER, DIMSE, Services
from radrelay_local.ports import INFRASTRUCTURE_PORTS, LOOPBACK, SERVICE_PORTS
from radrelay_shared.objects import ObjectStoreSettings

DEMONSTRATION_BUNDLE = Path("bundles/head-ct-haemorrhage")
"""As seen from the repository's root, where `make` runs."""


class Infrastructure(Control):
    """NATS, S3 and PostgreSQL under one folder.

    Args:
        home: the folder that holds data, logs and state; made when it is missing.
        prefer_usual_ports: whether to take the well-known ports where they are free, or any free ones.
    """

    usual_ports: ClassVar[Mapping[str, int]] = INFRASTRUCTURE_PORTS

    def __init__(self, home: Path, *, prefer_usual_ports: bool = True) -> None:
        super().__init__(Home(home), prefer_usual_ports=prefer_usual_ports)
        self.credentials = Credentials.of(self.folders)

    def plan(self) -> Plan:
        """Every process and job, at the ports of now."""
        ports, credentials = self.ports, self.credentials
        return Plan.of(
            nats.definition(self.folders, ports, credentials),
            objects.seaweedfs(self.folders, ports, credentials),
            objects.minio_gateway(self.folders, ports, credentials),
            postgres.definition(self.folders, ports, credentials),
        )

    @property
    def nats_url(self) -> str:
        """The broker's address, with user and password."""
        return nats.url(self.ports).replace("://", f"://{nats.USER}:{self.credentials.nats_password}@")

    @property
    def nats_monitor_url(self) -> str:
        """The address of the broker's monitoring endpoints."""
        return nats.monitor_url(self.ports)

    @property
    def objects(self) -> ObjectStoreSettings:
        """The S3 server, SeaweedFS."""
        return objects.settings(objects.SEAWEEDFS, self.ports, self.credentials)

    @property
    def minio_gateway(self) -> ObjectStoreSettings:
        """An S3 server that is MinIO's code; started at the first call."""
        self.start(objects.MINIO_GATEWAY)
        return objects.settings(objects.MINIO_GATEWAY, self.ports, self.credentials)

    @property
    def postgres_admin_url(self) -> str:
        """The database server's administrator, in the form that asyncpg takes."""
        return postgres.admin_url(self.ports, self.credentials, "postgres")


class RunningStack(Infrastructure):
    """The infrastructure, every service, the edge and the development token issuer.

    Args:
        home: the folder that holds data, logs and state; made when it is missing.
        prefer_usual_ports: whether to take the well-known ports where they are free, or any free ones.
        bundle: the model bundle to serve.
        otlp_endpoint: where services send their spans; nowhere without.
    """

    usual_ports: ClassVar[Mapping[str, int]] = {**INFRASTRUCTURE_PORTS, **SERVICE_PORTS}

    def __init__(
        self,
        home: Path,
        *,
        prefer_usual_ports: bool = True,
        bundle: Path = DEMONSTRATION_BUNDLE,
        otlp_endpoint: str | None = None,
    ) -> None:
        super().__init__(home, prefer_usual_ports=prefer_usual_ports)
        self._bundle = bundle
        self._otlp_endpoint = otlp_endpoint

    def plan(self) -> Plan:
        """Every process and job, at the ports of now."""
        infrastructure = super().plan()
        return Plan.of(
            *infrastructure.processes.values(),
            *infrastructure.jobs.values(),
            postgres.provision(self.ports, self.credentials),
            objects.tenants(self.ports, self.credentials),
            issuer.definition(self.folders, self.ports),
            *self._services().all(),
            edge.definition(self.folders, self.ports),
        )

    def _services(self) -> Services:
        return Services(self.folders, self.ports, self.credentials, self._bundle, self._otlp_endpoint)

    def reconcile(self, options: Iterable[str]) -> int:
        """Compare object store and database of the ingest service, print what is found, and return the exit status.

        Raises:
            StackError: the stack was never up.
        """
        command, env = self._services().reconciliation()
        return run_attached([*command, *options], env=env)

    def rebuild_dashboard(self, options: Iterable[str]) -> int:
        """Make the dashboard's figures anew from the streams, say how far it is, and return the exit status.

        Raises:
            StackError: the stack was never up.
        """
        command, env = self._services().rebuilding()
        return run_attached([*command, *options], env=env)

    @property
    def base_url(self) -> str:
        """The one origin of the frontend and all public APIs, without a slash at the end."""
        return edge.origin(self.ports)

    def addresses(self) -> dict[str, str]:
        """What a person may want to open or connect to."""
        return {
            "Clinician frontend": self.base_url,
            "Ingest API": f"{self.base_url}/api/ingest/docs",
            "Report API": f"{self.base_url}/api/reports/docs",
            "Dashboard API": f"{self.base_url}/api/dashboard/docs",
            f"DICOM C-STORE ({DEMONSTRATION_PEER['calling_ae']} to {AE_TITLE})": f"{LOOPBACK}:{self.ports[DIMSE]}",
            "Token issuer (development only)": f"{self.base_url}/auth/docs",
            "NATS": nats.url(self.ports),
            "NATS monitoring": self.nats_monitor_url,
            "S3": f"http://{self.objects.endpoint}",
            "PostgreSQL": postgres.address(self.ports),
        }

    def issue_token(self, tenant: str, user: str, roles: Iterable[str]) -> str:
        """A bearer token from the development issuer.

        Raises:
            StackError: the issuer is away, or refuses.
        """
        return development_token(self.base_url, tenant, user, roles)


def start_infrastructure(home: Path, *, prefer_usual_ports: bool = True) -> AbstractContextManager[Infrastructure]:
    """NATS, S3 and PostgreSQL, up inside the block and down after it."""
    return Infrastructure(home, prefer_usual_ports=prefer_usual_ports).started()


def start_stack(
    home: Path,
    *,
    prefer_usual_ports: bool = True,
    bundle: Path = DEMONSTRATION_BUNDLE,
    otlp_endpoint: str | None = None,
) -> AbstractContextManager[RunningStack]:
    """Everything, up inside the block and down after it."""
    stack = RunningStack(home, prefer_usual_ports=prefer_usual_ports, bundle=bundle, otlp_endpoint=otlp_endpoint)
    return stack.started()
