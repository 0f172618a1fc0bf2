"""Figures of one image or one batch: what maps cost, and how soon a lone stat image is answered."""

from benchmarks.inference import bare
from benchmarks.inference.processes import Rig
from benchmarks.inference.readings import Reading, cpu_table, stage_table
from benchmarks.inference.setup import Setup
from benchmarks.inference.site import Sites
from benchmarks.inference.usage import parts_of
from benchmarks.results import Figure, Spread, Table
from inference_service.settings import BatchingSettings


async def measure_maps(setup: Setup) -> list[Figure]:
    """A batch with probabilities and maps against the same with probabilities alone, on the bare runtime."""
    batch_size = BatchingSettings().max_batch_size
    setup.say(f"probability and map against probability alone, batches of {batch_size}")
    ratios = await setup.apart.call(
        bare.cost_of_maps, setup.subject, setup.contents, batch_size=batch_size, pairs=setup.plan.map_pairs
    )
    what = f"Probability and heatmap against probability alone, batches of {batch_size}"
    return [Figure(what=what, unit="ratio", value=Spread.of(ratios), at_most=1.05)]


async def measure_lone(setup: Setup, rig: Rig, sites: Sites) -> tuple[list[Figure], list[Table]]:
    """One stat image on an idle worker, event to event, and the same image decoded and computed alone, in turn."""
    setup.say("one stat image on an idle worker")
    site = await sites.make(setup.contents)
    await site.announce_lone()
    await setup.apart.call(bare.decode_and_compute_s, setup.subject, setup.contents[0])
    events_s, alone_s = [], []
    parts = parts_of(rig)
    before = Reading.take(rig, parts)
    for _ in range(setup.plan.lone_images):
        events_s.append(await site.announce_lone())
        alone_s.append(await setup.apart.call(bare.decode_and_compute_s, setup.subject, setup.contents[0]))
    period = (before, Reading.take(rig, parts))
    ratios = [one / other for one, other in zip(events_s, alone_s, strict=True)]
    figures = [
        Figure(
            what="One stat image, event to event, against decoding and one bare forward",
            unit="ratio",
            value=Spread.of(ratios),
            at_most=2.0,
        ),
        Figure(what="One stat image, event to event", unit="ms", value=Spread.of([1000 * s for s in events_s])),
        Figure(what="Decoding and one bare forward", unit="ms", value=Spread.of([1000 * s for s in alone_s])),
    ]
    tables = [
        cpu_table("Processor time of a lone image (ms of one core)", [period], images=setup.plan.lone_images),
        stage_table("Stages of a lone image, from the metrics of worker and model server", [period]),
    ]
    return figures, tables
