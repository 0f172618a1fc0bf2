"""Makes read models anew from the streams: `python -m dashboard_service.rebuild`.

It reads the settings of the worker, which may go on, as may the API. Exit statuses: 0 all were made; 2 something could
not be, and stays as it was.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from time import monotonic
from typing import Final

import nats.errors
from nats.js.errors import APIError
from pydantic import ValidationError

from dashboard_service.adapters.history import JetStreamHistory
from dashboard_service.adapters.rebuilding import PostgresRebuildStore
from dashboard_service.handlers.rebuilding import Overtaken, Progress, Rebuilt, rebuild
from dashboard_service.settings import DashboardSettings
from radrelay_shared.database import OUTAGES
from radrelay_shared.messaging import connect, ensure_topology

FAILED: Final = 2
_TELL_EVERY_S: Final = 1.0


async def rebuild_all(
    settings: DashboardSettings, tenants: Sequence[str], tell: Callable[[Progress], None]
) -> AsyncIterator[Rebuilt]:
    """Rebuild these tenants, or all that have figures or events, one after the other.

    Raises:
        ValueError: no system role is set.
        Overtaken: another rebuild of a tenant began.
        Exception: whatever a database or broker that is away raises.
    """
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(settings.database.app())
        system = await stack.enter_async_context(settings.database.system(pool_size=1, max_overflow=0))
        client = await stack.enter_async_context(connect(settings.nats, name="dashboard-rebuild"))
        js = client.jetstream()
        await ensure_topology(js, settings.nats.streams)
        history = JetStreamHistory(js)
        models = PostgresRebuildStore(database, system, settings.time_zones)
        for tenant in tenants or sorted(await models.tenants() | await history.tenants()):
            yield await rebuild(tenant, history=history, models=models, tell=tell)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says; ends the process where it says nothing that we understand."""
    parser = argparse.ArgumentParser("rebuild", description="Make the dashboard's figures anew from the streams.")
    parser.add_argument("--tenant", action="append", default=[], help="only this one; may be repeated")
    return parser.parse_args(given)


class Teller:
    """Writes how far it is to stderr, once a second at most."""

    def __init__(self) -> None:
        self._due = monotonic() + _TELL_EVERY_S

    def __call__(self, progress: Progress) -> None:
        """Tell, where it is time to."""
        if monotonic() >= self._due:
            self._due = monotonic() + _TELL_EVERY_S
            sys.stderr.write(f"{progress.tenant}: {progress.events:,} events, {progress.share:.0%}\n")


async def _run(chosen: argparse.Namespace) -> int:
    try:
        async for each in rebuild_all(DashboardSettings(), chosen.tenant, Teller()):
            sys.stdout.write(
                f"{each.tenant}: made anew from {each.events:,} events, {each.passed_over:,} of them uncountable;"
                f" {each.kept:,} older reports and failures kept\n"
            )
    except ValidationError as error:
        places = ", ".join(".".join(str(part) for part in each["loc"]) for each in error.errors())
        sys.stderr.write(f"rebuild: the settings are wrong at {places}\n")
        return FAILED
    except Overtaken:
        sys.stderr.write("rebuild: another rebuild of the same tenant began; this one ends\n")
        return FAILED
    except (ValueError, *OUTAGES, nats.errors.Error, APIError) as error:
        sys.stderr.write(f"rebuild: {type(error).__name__}: {error}\n")
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_run(arguments())))
