"""The report service alone on the embedded stack: nobody uploads or screens, so that nothing else uses the cores."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final

from benchmarks.layout import Layout, kept_to
from benchmarks.placement import placed
from radrelay_local import checks
from radrelay_local.definition import Job, Plan, ProcessDefinition
from radrelay_local.parts import postgres
from radrelay_local.stack import RunningStack
from radrelay_shared.database.migrations import migrate

API: Final = "report-api"
SECOND_API: Final = "report-api-second"
WORKER: Final = "report-worker"
_SECOND_DATABASE: Final = "radrelay_second"
_SECOND_JOB: Final = "second-database"
_OTHERS: Final = ("ingest", "dashboard", "inference", "model-server", "bundle", "minio")
_UNLIMITED: Final = dict.fromkeys(
    ("RADRELAY_REPORT_RATE_LIMITS__USER_READS", "RADRELAY_REPORT_RATE_LIMITS__TENANT_READS"), "1000000/minute"
)


class WorkerStack(RunningStack):
    """Broker, object store, database, and the worker of the report service."""

    def __init__(self, home: Path, layout: Layout) -> None:
        super().__init__(home, prefer_usual_ports=False)
        self._layout = layout

    def plan(self) -> Plan:
        """Every process and job, at the ports of now."""
        processes, jobs = _kept(super().plan(), without=API)
        return Plan.of(*(self._pinned(each) for each in processes), *jobs)

    def _pinned(self, definition: ProcessDefinition) -> ProcessDefinition:
        return placed(definition, self._layout.service if definition.name == WORKER else self._layout.others)

    @property
    def database_admin_url(self) -> str:
        """The administrator's address of the product's database, as asyncpg takes it."""
        return postgres.admin_url(self.ports, self.credentials)


class ReadingStack(RunningStack):
    """Broker, object store, token issuer, and two databases with an API of the report service before each."""

    usual_ports: ClassVar[Mapping[str, int]] = {**RunningStack.usual_ports, SECOND_API: 8004}

    def plan(self) -> Plan:
        """Every process and job, at the ports of now."""
        processes, jobs = _kept(super().plan(), without=WORKER)
        api = next(each for each in processes if each.name == API)
        unlimited = replace(api, env={**api.env, **_UNLIMITED})
        others = (each for each in processes if each is not api)
        job = Job(_SECOND_JOB, self._make_second, after=(postgres.PROVISION_JOB,))
        return Plan.of(*others, unlimited, self._second(unlimited), *jobs, job)

    def _second(self, api: ProcessDefinition) -> ProcessDefinition:
        port, first_port = self.ports[SECOND_API], str(self.ports[API])
        return replace(
            api,
            name=SECOND_API,
            command=tuple(str(port) if part == first_port else part for part in api.command),
            env={**api.env, "RADRELAY_REPORT_DATABASE__APP_URL": self._second_url("app")},
            folder=self.folders.data(SECOND_API),
            ready=checks.http_ok(port, "/readyz"),
            after=(*api.after, _SECOND_JOB),
        )

    def _make_second(self) -> None:
        async def make() -> None:
            await postgres.create_database(self.ports, self.credentials, _SECOND_DATABASE)
            await postgres.provision_database(self.ports, self.credentials, _SECOND_DATABASE, "report")

        asyncio.run(make())
        migrate("report_service", self._second_url("owner"))

    def _second_url(self, role: str) -> str:
        return postgres.role_url(self.ports, self.credentials, "report", role, _SECOND_DATABASE)

    @property
    def places(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """For each database, its API's address and its own, as the administrator's that asyncpg takes."""
        apis = (f"http://127.0.0.1:{self.ports[name]}" for name in (API, SECOND_API))
        databases = (postgres.DATABASE, _SECOND_DATABASE)
        first, second = (
            (api, postgres.admin_url(self.ports, self.credentials, database))
            for api, database in zip(apis, databases, strict=True)
        )
        return first, second


def _kept(whole: Plan, *, without: str) -> tuple[list[ProcessDefinition], list[Job]]:
    """The parts of a stack that the report service needs, without one of its processes."""
    left_out = (*_OTHERS, without)
    processes = [each for each in whole.processes.values() if not each.name.startswith(left_out)]
    jobs = [each for each in whole.jobs.values() if not each.name.removeprefix("migrate-").startswith(left_out)]
    return processes, jobs


@contextmanager
def start_worker(home: Path, layout: Layout) -> Iterator[WorkerStack]:
    """The worker, up inside the block and down after it; this process keeps to the cores of the others."""
    with kept_to(layout.others), WorkerStack(home, layout).started() as stack:
        yield stack


def start_reading(home: Path) -> AbstractContextManager[ReadingStack]:
    """Two databases and their APIs, up inside the block and down after it."""
    return ReadingStack(home, prefer_usual_ports=False).started()
