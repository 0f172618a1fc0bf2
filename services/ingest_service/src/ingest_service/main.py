"""The ingest API: `uvicorn --factory ingest_service.main:create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from ingest_service.adapters.outages import OUTAGES, is_outage
from ingest_service.api import batches, dicomweb, progress, quota, rejected, resumable, uploads
from ingest_service.bootstrap import open_api
from ingest_service.settings import IngestSettings
from radrelay_shared import http
from radrelay_shared.audit.refusals import record_refusals
from radrelay_shared.audit.routes import router as audit_router
from radrelay_shared.observability import configure


def create_app(settings: IngestSettings | None = None) -> FastAPI:
    """The application; settings come from the environment where none are given."""
    chosen = settings or IngestSettings()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        configure("ingest-api", chosen.observability)
        async with open_api(chosen) as api:
            yield {
                "container": api.container,
                "audit": api.trail,
                "verifier": api.verifier,
                "rate_limiter": api.rate_limiter,
                "readiness": api.readiness,
            }

    app = http.create_app(
        title="Radrelay Ingest",
        version=version("radrelay-ingest"),
        lifespan=lifespan,
        routers=[
            batches.router,
            uploads.router,
            resumable.router,
            dicomweb.router,
            progress.router,
            rejected.router,
            quota.router,
            audit_router,
        ],
    )
    record_refusals(app)
    http.answer_outages(app, is_outage, OUTAGES)
    return app
