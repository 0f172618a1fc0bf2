"""How every HTTP process is put together: problems, health, metrics, tracing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from prometheus_fastapi_instrumentator import Instrumentator, metrics

from radrelay_shared.http.content_coding import RefuseContentCodings
from radrelay_shared.http.openapi import Application
from radrelay_shared.http.problems import install_problem_handlers, problem_response
from radrelay_shared.http.rate_limit_fields import RateLimitFields
from radrelay_shared.observability import use_stable_http_conventions

ReadinessCheck = Callable[[], Awaitable[None]]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[dict[str, Any]]]

READINESS_TIMEOUT_S = 3.0

_log = logging.getLogger(__name__)
# Once a process: several applications in one, as in tests, share the same metrics.
_instrumentator = Instrumentator(excluded_handlers=["/livez", "/readyz", "/metrics"]).add(
    metrics.default(
        latency_lowr_buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        should_exclude_streaming_duration=True,
    )
)
_health = APIRouter(include_in_schema=False)


@_health.get("/livez")
async def live() -> dict[str, str]:
    """The process answers; says nothing of its dependencies."""
    return {"status": "alive"}


@_health.get("/readyz")
async def ready(request: Request) -> JSONResponse:
    """Runs every readiness check of the lifespan's state; 503 names those that failed."""
    checks: dict[str, ReadinessCheck] = request.state.readiness

    async def run(name: str, check: ReadinessCheck) -> str | None:
        try:
            async with asyncio.timeout(READINESS_TIMEOUT_S):
                await check()
        except Exception as error:  # noqa: BLE001  # whatever a dependency raises, the answer is: not ready, and which
            _log.warning("not ready", extra={"dependency": name, "error": type(error).__name__})
            return name
        return None

    away = [name for name in await asyncio.gather(*(run(n, c) for n, c in checks.items())) if name]
    if away:
        return problem_response(503, "not_ready", "A dependency is away.", {"away": away})
    return JSONResponse({"status": "ready", "checked": sorted(checks)})


def create_app(
    *,
    title: str,
    version: str,
    lifespan: Lifespan,
    routers: Sequence[APIRouter] = (),
    untraced: Sequence[str] = (),
) -> FastAPI:
    """A FastAPI application with problem+json errors, `/livez`, `/readyz`, `/metrics` and tracing.

    The lifespan yields the request state: at least `readiness`, and `verifier` and `rate_limiter` where routes need a
    caller. Requests whose address holds something of `untraced` leave no trace, which would hold their address.
    """
    app = Application(title=title, version=version, lifespan=lifespan)
    install_problem_handlers(app)
    app.add_middleware(RateLimitFields)
    app.add_middleware(RefuseContentCodings)
    app.include_router(_health)
    for router in routers:
        app.include_router(router)
    _instrumentator.instrument(app).expose(app, include_in_schema=False)
    use_stable_http_conventions()
    excluded = ",".join(("livez", "readyz", "metrics", *untraced))
    FastAPIInstrumentor.instrument_app(app, excluded_urls=excluded, exclude_spans=["receive", "send"])
    return app
