"""`python -m benchmarks.reports`: measures, writes results and report, and shows them."""

import argparse
import asyncio
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version

from benchmarks.execution import Say, execute, parser_of, scratch_folder
from benchmarks.layout import layouts
from benchmarks.reports.many_reports import Population
from benchmarks.reports.persisting import measure_persisting
from benchmarks.reports.reading import measure_reading
from benchmarks.reports.stack import start_reading, start_worker
from benchmarks.results import Run

_FULL_MANY, _QUICK_MANY = Population(reports=5_000_000, tenants=200), Population(reports=2_000, tenants=4)
# As many of each tenant as it takes to fill a page of one owner; with 200 tenants there would be 25.
_FULL_FEW, _QUICK_FEW = Population(reports=5_000, tenants=20), Population(reports=500, tenants=2)
_FULL_REQUESTS, _QUICK_REQUESTS = 400, 5
_FULL_RESULTS, _QUICK_RESULTS = 16_000, 160
_FULL_ROUNDS, _QUICK_ROUNDS = 5, 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the arguments ask for."""
    options = parser_of("reports", __doc__, quick="few reports").parse_args(arguments)
    execute("reports", partial(_measure, options), options.output)


def _measure(options: argparse.Namespace, say: Say) -> tuple[list[Run], list[str]]:
    runs = [*_persisting(say, quick=options.quick), _reading(say, quick=options.quick)]
    skipped = [] if len(runs) > 2 else ["with the worker on cores of its own: that takes two cores, and not --quick"]
    return runs, skipped


def _persisting(say: Say, *, quick: bool) -> list[Run]:
    rounds, results = (_QUICK_ROUNDS, _QUICK_RESULTS) if quick else (_FULL_ROUNDS, _FULL_RESULTS)
    runs = []
    for layout in layouts()[:1] if quick else layouts():
        say(f"starting broker, database and the worker: {layout.setting}")
        with scratch_folder() as scratch, start_worker(scratch / "stack", layout) as stack:
            figures, tables = asyncio.run(measure_persisting(stack, rounds=rounds, reports=results, say=say))
        runs.append(
            Run(
                setting=f"Persisting, {layout.setting}",
                subject=f"One worker of the report service on NATS and PostgreSQL; queues of {results:,} results",
                figures=tuple(figures),
                tables=tuple(tables),
            )
        )
    return runs


def _reading(say: Say, *, quick: bool) -> Run:
    say("starting two databases and an API before each")
    with scratch_folder() as scratch, start_reading(scratch / "stack") as stack:
        figures, tables = asyncio.run(
            measure_reading(
                stack,
                few=_QUICK_FEW if quick else _FULL_FEW,
                many=_QUICK_MANY if quick else _FULL_MANY,
                rounds=_QUICK_ROUNDS if quick else _FULL_ROUNDS,
                requests=_QUICK_REQUESTS if quick else _FULL_REQUESTS,
                say=say,
            )
        )
    return Run(
        setting=f"Reading, an API process for each database, uvicorn {version('uvicorn')}",
        subject="API of the report service on PostgreSQL, on the cores of the client; the rows were made by SQL",
        figures=tuple(figures),
        tables=tuple(tables),
    )


if __name__ == "__main__":
    main()
