"""The DICOM network intake: `python -m ingest_service.dimse`."""

import asyncio
import logging
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from ingest_service.bootstrap import open_intake
from ingest_service.dimse.connection import Site
from ingest_service.dimse.server import Server, serve
from ingest_service.settings import IngestSettings
from radrelay_shared.process import Jobs, run_worker

NAME: Final = "ingest-dimse"

_log = logging.getLogger(__name__)


@asynccontextmanager
async def start(settings: IngestSettings, stop: asyncio.Event) -> AsyncIterator[Jobs]:
    """Open what the intake needs, listen, and yield its job and readiness checks."""
    logging.getLogger("pynetdicom").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="pydicom")  # they quote what a peer sent
    dimse = settings.dimse
    async with open_intake(settings) as opened:
        loop = asyncio.get_running_loop()
        site = Site(dimse, opened.intake, opened.slots, loop, settings.upload.max_file_bytes)
        server = Server(site)
        _log.info("listening", extra={"ae_title": dimse.ae_title, "port": dimse.port, "peers": len(dimse.peers)})
        if not dimse.peers:
            _log.warning("no peers are set: every association will be rejected")
        yield [serve(server, stop)], opened.readiness


def main() -> None:
    """Run until told to stop."""
    settings = IngestSettings()
    run_worker(
        NAME,
        settings.observability,
        settings.dimse.health_port,
        partial(start, settings),
        health_host=settings.dimse.health_host,
    )


if __name__ == "__main__":
    main()
