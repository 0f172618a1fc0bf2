"""The model server's largest batch, tried: images a second, and how long a stat image waits under that load."""

import asyncio
from pathlib import Path
from statistics import median

from benchmarks.inference.processes import Rig, run_rig
from benchmarks.inference.setup import Setup
from benchmarks.inference.site import images_per_s, open_sites
from benchmarks.results import Table
from radrelay_local.stack import Infrastructure

_LOADED = 0.7
"""Stat images are sent until this share of the load is done, so that each meets a full queue."""


def sweep_batch_sizes(setup: Setup, infrastructure: Infrastructure, folder: Path) -> Table:
    """One row for each largest batch; the worker keeps twice as many images in flight, as it always does."""
    rows = []
    for size in setup.plan.sweep_batch_sizes:
        setup.say(f"sweep: batches of at most {size}")
        with run_rig(
            infrastructure, setup.subject, setup.runtime, folder, setup.layout.service, max_batch_size=size
        ) as rig:
            rows.append((str(size), *asyncio.run(_load(setup, rig))))
    return Table(
        title="Largest batch of the model server",
        columns=(
            "largest batch",
            "images/s",
            "stat image on an idle worker, ms",
            "stat image of another tenant under load, ms",
            "longest of them, ms",
        ),
        rows=tuple(rows),
    )


async def _load(setup: Setup, rig: Rig) -> tuple[float, float, float, float]:
    count = setup.plan.sweep_images
    async with open_sites(rig.infrastructure) as sites:
        routine, stat = await sites.make(setup.contents), await sites.make(setup.contents)
        idle_s = [await stat.announce_lone() for _ in range(setup.plan.lone_images)]
        await routine.announce(count)
        loaded_s = [await stat.announce_lone()]
        while len(routine.finished_at) < _LOADED * count:
            loaded_s.append(await stat.announce_lone())
        await routine.until(count)
        alone = await sites.make(setup.contents)
        await alone.announce(count)
        await alone.until(count)
    waits_ms = (1000 * seconds for seconds in (median(idle_s), median(loaded_s), max(loaded_s)))
    return (images_per_s(alone.finished_at), *waits_ms)  # type: ignore[return-value]  # three, as said
