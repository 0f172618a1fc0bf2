"""Running a worker process: health and metrics on a port of its own, signals that drain, a crash that shows."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Final

import uvicorn
import uvloop
from fastapi import FastAPI

from radrelay_shared.http import ReadinessCheck, create_app
from radrelay_shared.observability import ObservabilitySettings, configure

Jobs = tuple[Sequence[Coroutine[Any, Any, None]], Mapping[str, ReadinessCheck]]
Start = Callable[[asyncio.Event], AbstractAsyncContextManager[Jobs]]

_COLLECTED_AFTER: Final = 20_000
"""New objects that have Python look for garbage in cycles. Its 700 cost a worker that is handed hundreds of messages at
a time a quarter of its processor time, since all of them are looked at again and again."""
_log = logging.getLogger(__name__)


class _HealthServer(uvicorn.Server):
    """A server that leaves the signals to the worker."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: `run_worker` handles them."""
        yield


def run_worker(
    name: str, observability: ObservabilitySettings, health_port: int, start: Start, *, health_host: str = "0.0.0.0"
) -> None:
    """Run a worker until SIGTERM or SIGINT, then let its jobs finish what is in hand.

    Args:
        name: of the process, in logs and traces.
        observability: how much is said.
        health_port: where `/livez`, `/readyz` and `/metrics` are served.
        start: opens what the worker needs; yields its jobs, which end when the event is set, and its readiness checks.
        health_host: the address to serve them on.

    Exits with status 1 when a job fails.
    """
    configure(name, observability)
    gc.set_threshold(_COLLECTED_AFTER)
    gc.freeze()  # what was imported is no garbage
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(name, health_host, health_port, start))
    except* Exception:  # noqa: BLE001  # the end of the process: say why and let the exit status tell the orchestrator
        _log.critical("worker failed", exc_info=True)
        sys.exit(1)


async def _serve(name: str, host: str, port: int, start: Start) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with start(stop) as (jobs, readiness):

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
            yield {"readiness": dict(readiness)}

        app = create_app(title=name, version="1", lifespan=lifespan)
        server = _HealthServer(uvicorn.Config(app, host=host, port=port, log_config=None))
        async with asyncio.TaskGroup() as group:
            health = group.create_task(server.serve())
            running = [group.create_task(job) for job in jobs]
            _log.info("worker started", extra={"worker": name})
            await asyncio.gather(*running)
            server.should_exit = True
            await health
    _log.info("worker stopped", extra={"worker": name})
