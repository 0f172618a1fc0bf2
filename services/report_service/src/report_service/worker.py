"""`python -m report_service.worker`: results to reports, outbox to JetStream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from radrelay_shared.process import Jobs, run_worker
from report_service import bootstrap
from report_service.settings import ReportSettings


def main() -> None:
    """Run the worker until it is told to stop."""
    settings = ReportSettings()

    @asynccontextmanager
    async def start(stop: asyncio.Event) -> AsyncIterator[Jobs]:
        async with AsyncExitStack() as stack:
            yield await bootstrap.open_worker(settings, stack, stop)

    run_worker("report-worker", settings.observability, settings.health_port, start, health_host=settings.health_host)


if __name__ == "__main__":
    main()
