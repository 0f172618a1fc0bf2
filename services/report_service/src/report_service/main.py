"""The report service's HTTP application."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from radrelay_shared.audit.refusals import record_refusals
from radrelay_shared.audit.routes import router as audit_router
from radrelay_shared.http import answer_outages
from radrelay_shared.http import create_app as create_http_app
from radrelay_shared.observability import configure
from report_service import __version__, bootstrap
from report_service.adapters.outages import OUTAGES, is_outage
from report_service.api import (
    deliveries,
    destinations,
    erasures,
    fhir,
    frames,
    images,
    links,
    retention,
    reviews,
    routes,
    studies,
    visual,
    worklist,
)
from report_service.settings import ReportSettings


def create_app(settings: ReportSettings | None = None) -> FastAPI:
    """The application; settings come from the environment unless they are given."""
    chosen = settings or ReportSettings()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        configure("report-api", chosen.observability)
        async with AsyncExitStack() as stack:
            yield await bootstrap.open_api(chosen, stack)

    app = create_http_app(
        title="Radrelay reports",
        version=__version__,
        lifespan=lifespan,
        routers=[
            worklist.router,
            routes.router,
            images.router,
            frames.router,
            visual.router,
            fhir.router,
            links.router,
            studies.router,
            reviews.router,
            erasures.router,
            retention.router,
            destinations.router,
            deliveries.router,
            audit_router,
        ],
        # Their addresses are what lets somebody in.
        untraced=("/links/",),
    )
    record_refusals(app)
    answer_outages(app, is_outage, OUTAGES)
    return app
