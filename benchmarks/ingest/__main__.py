"""`python -m benchmarks.ingest`: measures, writes results and report, and shows them."""

import argparse
import asyncio
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from benchmarks.execution import Say, execute, parser_of, scratch_folder
from benchmarks.ingest.archives import measure_archives
from benchmarks.ingest.hospital import open_hospital
from benchmarks.ingest.images import Images
from benchmarks.ingest.stack import IngestStack, start_ingest
from benchmarks.ingest.uploads import measure_uploads
from benchmarks.layout import Layout, layouts
from benchmarks.results import Figure, Run, Table

_FULL_ARCHIVES_MIB, _QUICK_ARCHIVES_MIB = (200, 2048), (16,)
_FULL_ROUNDS, _QUICK_ROUNDS = 5, 2
_FULL_IMAGES, _QUICK_IMAGES = 384, 32


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the arguments ask for."""
    options = parser_of("ingest", __doc__, quick="few images").parse_args(arguments)
    execute("ingest", partial(_measure, options), options.output)


def _measure(options: argparse.Namespace, say: Say) -> tuple[list[Run], list[str]]:
    runs: list[Run] = []
    for layout in layouts():
        say(f"starting broker, object store, database and the ingest service: {layout.setting}")
        with scratch_folder() as scratch, start_ingest(scratch / "stack", layout) as stack:
            runs.append(asyncio.run(_run(stack, layout, scratch, say, quick=options.quick, first=not runs)))
    skipped = [] if len(runs) > 1 else ["with the service on cores of its own: there is one core"]
    return runs, skipped


async def _run(stack: IngestStack, layout: Layout, scratch: Path, say: Say, *, quick: bool, first: bool) -> Run:
    images = Images()
    figures: list[Figure] = []
    tables: list[Table] = []
    async with open_hospital(stack) as hospital:
        if first:  # memory does not depend on the layout
            sizes_mib = _QUICK_ARCHIVES_MIB if quick else _FULL_ARCHIVES_MIB
            figures, tables = await measure_archives(stack, hospital, images, sizes_mib, scratch, say)
        rounds, count = (_QUICK_ROUNDS, _QUICK_IMAGES) if quick else (_FULL_ROUNDS, _FULL_IMAGES)
        uploads, speeds = await measure_uploads(stack, hospital, images, rounds=rounds, count=count, say=say)
    return Run(
        setting=layout.setting.capitalize(),
        subject=f"One API process (uvicorn {version('uvicorn')}) and one worker, on NATS, SeaweedFS and PostgreSQL",
        figures=tuple(figures + uploads),
        tables=tuple(speeds + tables),
    )


if __name__ == "__main__":
    main()
