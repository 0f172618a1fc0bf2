"""`python -m benchmarks.dashboard`: measures, writes results and report, and shows them."""

import argparse
import asyncio
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version

from benchmarks.dashboard.freshness import measure_freshness
from benchmarks.dashboard.reading import measure_reading
from benchmarks.dashboard.stack import DashboardStack, start_dashboard
from benchmarks.execution import Say, execute, parser_of, scratch_folder
from benchmarks.results import Run

_FEW, _FULL_MANY, _QUICK_MANY = 10_000, 10_000_000, 50_000
_FULL_DAYS, _QUICK_DAYS = 730, 60
_FULL_ROUNDS, _QUICK_ROUNDS = 5, 1
_FULL_REQUESTS, _QUICK_REQUESTS = 400, 10
_FULL_EVENTS, _QUICK_EVENTS = 600, 20


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the arguments ask for."""
    options = parser_of("dashboard", __doc__, quick="few reports").parse_args(arguments)
    execute("dashboard", partial(_measure, options), options.output)


def _measure(options: argparse.Namespace, say: Say) -> tuple[list[Run], list[str]]:
    with scratch_folder() as scratch:
        say("starting broker, database and the dashboard service")
        with start_dashboard(scratch / "stack") as stack:
            return [asyncio.run(_run(stack, say, quick=options.quick))], []


async def _run(stack: DashboardStack, say: Say, *, quick: bool) -> Run:
    rounds = _QUICK_ROUNDS if quick else _FULL_ROUNDS
    freshness, freshness_tables = await measure_freshness(
        stack, rounds=rounds, reports=_QUICK_EVENTS if quick else _FULL_EVENTS, say=say
    )
    reading, tables = await measure_reading(
        stack,
        few=_FEW,
        many=_QUICK_MANY if quick else _FULL_MANY,
        days=_QUICK_DAYS if quick else _FULL_DAYS,
        rounds=rounds,
        requests=_QUICK_REQUESTS if quick else _FULL_REQUESTS,
        say=say,
    )
    return Run(
        setting=f"One API process and one worker, uvicorn {version('uvicorn')}",
        subject="API and worker of the dashboard service on NATS and PostgreSQL, on the cores of the client;"
        " of the reports that are read about only the rollups were made, by SQL",
        figures=tuple(reading + freshness),
        tables=tuple(tables + freshness_tables),
    )


if __name__ == "__main__":
    main()
