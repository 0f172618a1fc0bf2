"""The whole worker against the bare runtime and against the naive design, and where its time goes."""

from collections.abc import Sequence

from benchmarks.inference import bare, naive
from benchmarks.inference.processes import Rig
from benchmarks.inference.readings import Period, Reading, cpu_table, stage_table
from benchmarks.inference.setup import Setup
from benchmarks.inference.site import Sites, images_per_s
from benchmarks.inference.usage import parts_of
from benchmarks.results import Figure, Spread, Table


async def measure_throughput(setup: Setup, rig: Rig, sites: Sites) -> tuple[list[Figure], list[Table]]:
    """Rounds of bare runtime, whole worker and naive design, one after the other, so that each has the machine."""
    plan, subject = setup.plan, setup.subject
    batch_size, by_batch_size = await _best_batch_size(setup)
    addresses = naive.Addresses(rig.infrastructure.nats_url, rig.infrastructure.objects)
    await setup.apart.call(naive.load_model, subject)
    parts = parts_of(rig)
    bares, workers, naives = [], [], []
    periods: list[Period] = []
    for number in range(1, plan.rounds + 1):
        setup.say(f"round {number} of {plan.rounds}: bare runtime, whole worker, naive design")
        bares.append(
            await setup.apart.call(
                bare.images_per_s, subject, setup.contents, batch_size=batch_size, seconds=plan.bare_s
            )
        )
        site = await sites.make(setup.contents)
        before = Reading.take(rig, parts)
        await site.announce(plan.worker_images)
        await site.until(plan.worker_images)
        periods.append((before, Reading.take(rig, parts)))
        workers.append(images_per_s(site.finished_at))
        naives.append(
            await setup.apart.call(naive.images_per_s, subject, addresses, tenant=site.tenant, count=plan.naive_images)
        )
    figures = [
        Figure(
            what=f"Whole worker against the bare runtime at its best batch ({batch_size})",
            unit="ratio",
            value=_ratios(workers, bares),
            at_least=0.85,
        ),
        Figure(
            what="Whole worker against the naive design", unit="ratio", value=_ratios(workers, naives), at_least=14.0
        ),
        Figure(what="Bare runtime", unit="images/s", value=Spread.of(bares)),
        Figure(what="Whole worker", unit="images/s", value=Spread.of(workers)),
        Figure(what="Naive design", unit="images/s", value=Spread.of(naives)),
    ]
    spent = "Processor time of the whole worker under load (ms of one core for an image)"
    stages = "Stages of an image under load, waiting included, from the metrics of worker and model server"
    tables = [by_batch_size, cpu_table(spent, periods, images=plan.worker_images), stage_table(stages, periods)]
    return figures, tables


async def _best_batch_size(setup: Setup) -> tuple[int, Table]:
    rates = {}
    for size in setup.plan.batch_sizes:
        setup.say(f"bare runtime, batches of {size}")
        rates[size] = await setup.apart.call(
            bare.images_per_s, setup.subject, setup.contents, batch_size=size, seconds=setup.plan.bare_s
        )
    rows = tuple((str(size), rate) for size, rate in rates.items())
    table = Table(title="Bare runtime by batch size", columns=("images in a batch", "images/s"), rows=rows)
    return max(rates, key=lambda size: rates[size]), table


def _ratios(upper: Sequence[float], lower: Sequence[float]) -> Spread:
    return Spread.of([one / other for one, other in zip(upper, lower, strict=True)])
