"""What every benchmark does around its measurements: say how far it is, keep the results, write the report."""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.markdown import Markdown

from benchmarks.errors import BenchmarkError
from benchmarks.machine import describe_commit, describe_machine
from benchmarks.report import RESULTS_FOLDER, render, write_report
from benchmarks.results import Results, Run

_SCRATCH = Path("build/benchmarks")
Say = Callable[[str], None]
"""Tells the person who waits what is being done."""
Measure = Callable[[Say], tuple[Sequence[Run], Sequence[str]]]
"""Returns what was measured, and what was not and why; raises BenchmarkError."""


def execute(benchmark: str, measure: Measure, output: Path) -> None:
    """Measure, write results and report, and show them. What keeps it from being measured ends the program."""
    # So that whoever is told to end takes the servers along that it started, as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    progress = Console(stderr=True)

    def say(what: str) -> None:
        progress.print(f"{datetime.now():%H:%M:%S} {what}", highlight=False)  # noqa: DTZ005  # the clock on the wall

    started_at, load_average = datetime.now(UTC), os.getloadavg()[0]
    try:
        runs, skipped = measure(say)
    except BenchmarkError as error:
        sys.exit(f"It cannot be measured: {error}")
    results = Results(
        benchmark=benchmark,
        command=shlex.join(["python", "-m", f"benchmarks.{benchmark}", *sys.argv[1:]]),
        commit=describe_commit(),
        started_at=started_at,
        finished_at=datetime.now(UTC),
        load_average=load_average,
        machine=describe_machine(),
        runs=tuple(runs),
        skipped=tuple(skipped),
    )
    results.save(output)
    report = write_report(output.parent)
    Console().print(Markdown(render([results])))
    say(f"written: {output} and {report}")


def parser_of(benchmark: str, description: str | None, *, quick: str) -> argparse.ArgumentParser:
    """The options that every benchmark has; `quick` says what it does in a quick run."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{benchmark}", description=description)
    parser.add_argument("--quick", action="store_true", help=f"{quick}: shows that it works, and little more")
    parser.add_argument("--output", type=Path, default=RESULTS_FOLDER / f"{benchmark}.json", metavar="FILE")
    return parser


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder on the disk that the repository is on, gone after the block."""
    _SCRATCH.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=_SCRATCH) as name:
        yield Path(name).resolve()
