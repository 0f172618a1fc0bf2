"""The memory of the service while it takes in large archives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter

from benchmarks.errors import BenchmarkError
from benchmarks.execution import Say
from benchmarks.ingest.hospital import Hospital
from benchmarks.ingest.images import Images
from benchmarks.ingest.stack import IngestStack
from benchmarks.ingest.usage import MIB, memory_mib
from benchmarks.results import Figure, Spread, Table

_SAMPLE_EVERY_S = 0.1
_AT_MOST_MIB = 100.0


async def measure_archives(
    stack: IngestStack, hospital: Hospital, images: Images, sizes_mib: tuple[int, ...], scratch: Path, say: Say
) -> tuple[list[Figure], list[Table]]:
    """Peak memory of the API and its validating processes during one ZIP of each size, above that of the idle service.

    Call it on a service that has not worked yet.
    """
    idle_mib = memory_mib(stack)
    figures, rows = [], []
    for size_mib in sizes_mib:
        say(f"a ZIP of {size_mib} MiB")
        path = scratch / "images.zip"
        count = await asyncio.to_thread(images.archive, path, size_mib * MIB)
        started = perf_counter()
        async with _peak(stack) as samples:
            accepted = await hospital.upload_archive(await hospital.open_batch(), path)
        took_s = perf_counter() - started
        path.unlink()
        if accepted != count:
            raise BenchmarkError(f"{accepted} of {count} images of an archive were taken in")
        peak_mib = max(samples)
        figures.append(
            Figure(
                what=f"Peak memory of the service during a ZIP of {size_mib} MiB, above idle",
                unit="MiB",
                value=Spread.of([peak_mib - idle_mib]),
                at_most=_AT_MOST_MIB,
            )
        )
        rows.append((f"{size_mib} MiB", count, idle_mib, peak_mib, count / took_s))
    columns = ("archive", "images", "idle (MiB)", "peak (MiB)", "images/s")
    return figures, [Table(title="Archives: memory of API and validating processes", columns=columns, rows=tuple(rows))]


@asynccontextmanager
async def _peak(stack: IngestStack) -> AsyncIterator[list[float]]:
    """Samples of the memory while the block runs."""
    samples = [memory_mib(stack)]

    async def sample() -> None:
        while True:
            samples.append(await asyncio.to_thread(memory_mib, stack))
            await asyncio.sleep(_SAMPLE_EVERY_S)

    task = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
