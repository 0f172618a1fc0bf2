"""Memory of the worker over many images."""

import asyncio
from statistics import median

import numpy as np

from benchmarks.inference.processes import Rig
from benchmarks.inference.setup import Setup
from benchmarks.inference.site import Sites
from benchmarks.inference.usage import SERVER, Memory, memory_of, parts_of
from benchmarks.results import Figure, Spread, Table

_SAMPLES = 50
_WARM_UP = 0.1
_EDGE = 5
"""Samples at each end whose median stands for it."""


async def measure_memory(setup: Setup, rig: Rig, sites: Sites) -> tuple[list[Figure], list[Table]]:
    """Resident memory at equal steps through a long queue, after a tenth of it as warm-up."""
    count = setup.plan.memory_images
    setup.say(f"memory over {count} images")
    parts = parts_of(rig)
    site = await sites.make(setup.contents)
    done: list[int] = []
    samples: list[dict[str, Memory]] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(site.announce(count))
        for milestone in np.linspace(count * _WARM_UP, count, _SAMPLES).astype(int):
            await site.until(int(milestone))
            done.append(len(site.finished_at))
            samples.append(memory_of(parts))
    worker_mib = [sum(m.resident_mib for name, m in each.items() if not name.startswith(SERVER)) for each in samples]
    peak_mib = sum(m.peak_mib for name, m in samples[-1].items() if not name.startswith(SERVER))
    growth = float(np.polyfit(np.array(done) / 1000, worker_mib, 1)[0])
    first, last = median(worker_mib[:_EDGE]), median(worker_mib[-_EDGE:])
    figures = [
        Figure(
            what=f"Memory of the worker's processes after {count} images against after {int(count * _WARM_UP)}",
            unit="ratio",
            value=Spread.of([last / first]),
            at_most=1.05,
        ),
        Figure(what="Growth of it, fitted line", unit="MiB in 1000 images", value=Spread.of([growth])),
        Figure(what="Peak memory of the worker's processes, each at its own", unit="MiB", value=Spread.of([peak_mib])),
    ]
    rows = tuple(
        (name, before.resident_mib, samples[-1][name].resident_mib, samples[-1][name].peak_mib)
        for name, before in samples[0].items()
    )
    columns = ("process", "after warm-up", "at the end", "peak")
    title = "Resident memory by process (MiB; pages that processes share count in each)"
    return figures, [Table(title=title, columns=columns, rows=rows)]
