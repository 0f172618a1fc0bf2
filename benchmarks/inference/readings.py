"""Where a rig's time goes, from the difference of two readings of counters."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from benchmarks.inference.processes import Rig
from benchmarks.inference.usage import Parts, cpu_seconds, metric_sums
from benchmarks.results import Spread, Table

_STAGE = "radrelay_inference_stage_seconds"
_BATCH_S = "radrelay_model_batch_seconds"
_BATCH_IMAGES = "radrelay_model_batch_images"


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters that only grow, at one moment."""

    at: float
    cpu_s: dict[str, float]
    metrics: dict[str, float]

    @classmethod
    def take(cls, rig: Rig, parts: Parts) -> "Reading":
        """Read processor time and metrics now."""
        metrics = metric_sums(rig.worker_url, _STAGE) | metric_sums(rig.model_url, _BATCH_S, _BATCH_IMAGES)
        return cls(perf_counter(), cpu_seconds(parts), metrics)


Period = tuple[Reading, Reading]
"""From one reading to a later one."""


def cpu_table(title: str, periods: Sequence[Period], *, images: int) -> Table:
    """Milliseconds of one core that each part spent on an image.

    Args:
        title: of the table.
        periods: repeats of the same work.
        images: in each period.
    """
    spreads = {
        name: Spread.of([(after.cpu_s[name] - before.cpu_s[name]) / images * 1000 for before, after in periods])
        for name in periods[0][0].cpu_s
    }
    rows = [(name, spread.median, spread.least, spread.most) for name, spread in spreads.items()]
    totals = [sum(numbers) for numbers in zip(*((s.median, s.least, s.most) for s in spreads.values()), strict=True)]
    return Table(title=title, columns=("process", "median", "least", "most"), rows=(*rows, ("all", *totals)))


def stage_table(title: str, periods: Sequence[Period]) -> Table:
    """Mean time of an image in each stage, and of the runtime, over all periods."""
    spent = {
        name: sum(after.metrics[name] - before.metrics.get(name, 0.0) for before, after in periods)
        for name in periods[-1][1].metrics
    }
    elapsed_s = sum(after.at - before.at for before, after in periods)
    stages = [name.rpartition(" ")[2] for name in spent if name.startswith(f"{_STAGE}_sum ")]
    rows: list[tuple[str, float]] = [
        (f"{stage}, ms an image", spent[f"{_STAGE}_sum {stage}"] / spent[f"{_STAGE}_count {stage}"] * 1000)
        for stage in stages
    ]
    images, batches = spent[f"{_BATCH_IMAGES}_sum"], spent[f"{_BATCH_S}_count"]
    rows += [
        ("runtime alone, ms an image", spent[f"{_BATCH_S}_sum"] / images * 1000),
        ("images in a batch", images / batches),
        ("share of the time that the runtime computes", spent[f"{_BATCH_S}_sum"] / elapsed_s),
    ]
    return Table(title=title, columns=("stage", "mean"), rows=tuple(rows))
