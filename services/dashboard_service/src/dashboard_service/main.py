"""The dashboard service's HTTP application."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from dashboard_service import __version__, bootstrap
from dashboard_service.api import live, routes
from dashboard_service.settings import DashboardSettings
from radrelay_shared import database
from radrelay_shared.http import answer_outages
from radrelay_shared.http import create_app as create_http_app
from radrelay_shared.observability import configure


def create_app(settings: DashboardSettings | None = None) -> FastAPI:
    """The application; settings come from the environment unless they are given."""
    chosen = settings or DashboardSettings()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        configure("dashboard-api", chosen.observability)
        async with AsyncExitStack() as stack:
            yield await bootstrap.open_api(chosen, stack)

    app = create_http_app(
        title="Radrelay dashboard", version=__version__, lifespan=lifespan, routers=[routes.router, live.router]
    )
    answer_outages(app, database.is_database_outage, database.OUTAGES)
    return app
