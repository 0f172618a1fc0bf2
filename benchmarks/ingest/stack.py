"""The ingest service alone on the embedded stack: nobody screens, so that nothing else uses the cores."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.layout import Layout, kept_to
from benchmarks.placement import placed
from radrelay_local.definition import Job, Plan, ProcessDefinition
from radrelay_local.stack import RunningStack

API: Final = "ingest-api"
WORKER: Final = "ingest-worker"
_OTHERS: Final = ("report", "dashboard", "inference", "model-server", "bundle", "ingest-dimse")


class IngestStack(RunningStack):
    """Broker, object store, database, token issuer, and the processes of the ingest service for HTTP."""

    def __init__(self, home: Path, layout: Layout) -> None:
        super().__init__(home, prefer_usual_ports=False)
        self._layout = layout

    def plan(self) -> Plan:
        """Every process and job, at the ports of now."""
        whole = super().plan()
        processes = (self._pinned(each) for each in whole.processes.values())
        parts: list[ProcessDefinition | Job] = [*processes, *whole.jobs.values()]
        return Plan.of(*(part for part in parts if not part.name.removeprefix("migrate-").startswith(_OTHERS)))

    def _pinned(self, definition: ProcessDefinition) -> ProcessDefinition:
        cores = self._layout.service if definition.name in {API, WORKER} else self._layout.others
        return placed(definition, cores)

    @property
    def api_url(self) -> str:
        """The ingest API without the edge before it."""
        return f"http://127.0.0.1:{self.ports[API]}"


@contextmanager
def start_ingest(home: Path, layout: Layout) -> Iterator[IngestStack]:
    """The ingest service, up inside the block and down after it; this process keeps to the cores of the others."""
    with kept_to(layout.others), IngestStack(home, layout).started() as stack:
        yield stack
