"""The report service's HTTP application."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from radrelay_shared import database, objects
from radrelay_shared.http import answer_outages
from radrelay_shared.http import create_app as create_http_app
from radrelay_shared.observability import configure
from report_service import __version__, bootstrap
from report_service.api.routes import router
from report_service.settings import ReportSettings


def create_app(settings: ReportSettings | None = None) -> FastAPI:
    """The application; settings come from the environment unless they are given."""
    chosen = settings or ReportSettings()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        configure("report-api", chosen.observability)
        async with AsyncExitStack() as stack:
            yield await bootstrap.open_api(chosen, stack)

    app = create_http_app(title="Radrelay reports", version=__version__, lifespan=lifespan, routers=[router])
    answer_outages(app, _is_outage, (*database.OUTAGES, *objects.OUTAGES))
    return app


def _is_outage(error: BaseException) -> bool:
    return isinstance(error, objects.OUTAGES) or database.is_database_outage(error)
