"""`python -m dashboard_service.worker`: events to counts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from dashboard_service import bootstrap
from dashboard_service.settings import DashboardSettings
from radrelay_shared.process import Jobs, run_worker


def main() -> None:
    """Run the worker until it is told to stop."""
    settings = DashboardSettings()

    @asynccontextmanager
    async def start(stop: asyncio.Event) -> AsyncIterator[Jobs]:
        async with AsyncExitStack() as stack:
            yield await bootstrap.open_worker(settings, stack, stop)

    run_worker(
        "dashboard-worker", settings.observability, settings.health_port, start, health_host=settings.health_host
    )


if __name__ == "__main__":
    main()
