"""RESULTS.md, written from the files in `results/`: `python -m benchmarks.report` writes it again."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.results import Figure, Results, Run, Table

RESULTS_FOLDER = Path(__file__).parent / "results"
_HEADING = """# Results

Written by `python -m benchmarks.report` from the files in `results/`; do not edit. How to read it: [README](README.md).
Figures are medians of repeats; a ratio is between two measurements of the same run.
"""


def write_report(results_folder: Path = RESULTS_FOLDER) -> Path:
    """Write RESULTS.md beside a folder of results, and return its path."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(results_folder.glob("*.json"))]
    path = results_folder.parent / "RESULTS.md"
    path.write_text(render([Results.model_validate_json(text) for text in texts]), encoding="utf-8")
    return path


def render(results: Sequence[Results]) -> str:
    """All results as Markdown."""
    return "\n".join([_HEADING, *(line for each in results for line in _results(each))])


def _results(results: Results) -> Iterator[str]:
    machine = results.machine
    libraries = ", ".join(f"{name} {version}" for name, version in machine.libraries.items())
    yield f"## {results.benchmark}, {results.started_at:%Y-%m-%d %H:%M} UTC, commit {results.commit}\n"
    yield f"`{results.command}`\n"
    yield f"- Machine: {machine.cpu}, {machine.cores} cores, {machine.memory_gib:g} GiB, GPU: {machine.gpu or 'none'}"
    yield f"- System: {machine.system}; {libraries}"
    yield f"- Load average before the start: {results.load_average:.2f}"
    yield from (f"- Not measured: {reason}" for reason in results.skipped)
    yield ""
    for run in results.runs:
        yield from _run(run)


def _run(run: Run) -> Iterator[str]:
    yield f"### {run.setting}\n"
    yield f"{run.subject}\n"
    header = ("figure", "median", "least", "most", "repeats", "target", "met")
    yield from _lines(header, (_figure_row(figure) for figure in run.figures))
    for table in run.tables:
        yield from _table(table)


def _figure_row(figure: Figure) -> tuple[str, ...]:
    value, unit = figure.value, "" if figure.unit == "ratio" else f" {figure.unit}"
    target = "" if figure.at_most is None else f"at most {figure.at_most:g}{unit}"
    target = target if figure.at_least is None else f"at least {figure.at_least:g}{unit}"
    met = {None: "", True: "yes", False: "**no**"}[figure.met]
    numbers = (f"{number:.4g}" for number in (value.median, value.least, value.most))
    return (f"{figure.what}{unit and f' ({figure.unit})'}", *numbers, str(value.repeats), target, met)


def _table(table: Table) -> Iterator[str]:
    yield f"{table.title}\n"
    rows = ([cell if isinstance(cell, str) else f"{cell:.4g}" for cell in row] for row in table.rows)
    yield from _lines(table.columns, rows)


def _lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|" + "---|" * len(header)
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


if __name__ == "__main__":
    write_report()
