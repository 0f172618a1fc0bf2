"""The dashboard service alone on the embedded stack: nobody screens, so that nothing else uses the cores."""

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Final

from radrelay_local.definition import Job, Plan, ProcessDefinition
from radrelay_local.parts import postgres
from radrelay_local.stack import RunningStack

API: Final = "dashboard-api"
_OTHERS: Final = ("report", "ingest", "inference", "model-server", "bundle", "objects", "minio", "development-tenants")
_UNLIMITED: Final = dict.fromkeys(
    ("RADRELAY_DASHBOARD_RATE_LIMITS__USER_READS", "RADRELAY_DASHBOARD_RATE_LIMITS__TENANT_READS"), "1000000/minute"
)


class DashboardStack(RunningStack):
    """Broker, database, token issuer, and the processes of the dashboard service."""

    def plan(self) -> Plan:
        """Every process and job, at the ports of now."""
        whole = super().plan()
        parts: list[ProcessDefinition | Job] = [*whole.processes.values(), *whole.jobs.values()]
        kept = (part for part in parts if not part.name.removeprefix("migrate-").startswith(_OTHERS))
        return Plan.of(*(_unlimited(part) if part.name == API else part for part in kept))

    @property
    def api_url(self) -> str:
        """The dashboard API without the edge before it."""
        return f"http://127.0.0.1:{self.ports[API]}"

    @property
    def database_url(self) -> str:
        """The address of the dashboard's runtime role, as SQLAlchemy takes it."""
        return postgres.role_url(self.ports, self.credentials, "dashboard", "app")


def _unlimited(part: ProcessDefinition | Job) -> ProcessDefinition | Job:
    """The API, to which a benchmark is a flood."""
    return replace(part, env={**part.env, **_UNLIMITED}) if isinstance(part, ProcessDefinition) else part


def start_dashboard(home: Path) -> AbstractContextManager[DashboardStack]:
    """The dashboard service, up inside the block and down after it."""
    return DashboardStack(home, prefer_usual_ports=False).started()
