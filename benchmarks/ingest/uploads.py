"""Uploads of many images against bare puts, and how soon each is announced."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from time import perf_counter

from benchmarks.execution import Say
from benchmarks.ingest.hospital import Hospital, side_by_side
from benchmarks.ingest.images import Images
from benchmarks.ingest.stack import IngestStack
from benchmarks.ingest.usage import cpu_seconds
from benchmarks.results import Figure, Spread, Table

PARALLEL = 8
FILES_PER_REQUEST = 16
"""As many as keep eight requests of one folder busy; `radrelay upload` sends up to 64 in one."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one way of sending brought."""

    images_per_s: float
    cpu_ms: dict[str, float]
    """Processor time of one image, by process."""
    announced_after_s: tuple[float, ...] = ()
    """From the answer to the event, of each image; negative where the event came first."""


async def measure_uploads(
    stack: IngestStack, hospital: Hospital, images: Images, *, rounds: int, count: int, say: Say
) -> tuple[list[Figure], list[Table]]:
    """Bare puts, requests of many files and requests of one file in turn, eight at a time."""
    batch_id = await hospital.open_batch()
    say("a first round, to warm up")
    await _upload(stack, hospital, batch_id, images.some(2 * PARALLEL), files_per_request=1)
    puts, many, single = [], [], []
    for number in range(1, rounds + 1):
        say(f"uploads against puts, round {number} of {rounds}")
        puts.append(await _put(stack, hospital, images.some(count)))
        many.append(await _upload(stack, hospital, batch_id, images.some(count), files_per_request=FILES_PER_REQUEST))
        single.append(await _upload(stack, hospital, batch_id, images.some(count), files_per_request=1))
    figures = [
        _ratio(f"Uploads of {FILES_PER_REQUEST} files a request against bare puts, {PARALLEL} at a time", many, puts),
        _ratio(f"Uploads of one file a request against bare puts, {PARALLEL} at a time", single, puts),
        _delay("From the answer to the event, one file a request", single),
    ]
    rows = ((f"{FILES_PER_REQUEST} files a request", many), ("one file a request", single), ("bare puts", puts))
    parts = tuple(puts[0].cpu_ms)
    speeds = Table(
        title=f"Images of 512 KiB a second, and processor time of one (ms), {PARALLEL} at a time",
        columns=("way", "images/s", *parts),
        rows=tuple(
            (
                name,
                median(each.images_per_s for each in runs),
                *(median(each.cpu_ms[part] for each in runs) for part in parts),
            )
            for name, runs in rows
        ),
    )
    return figures, [speeds]


def _ratio(what: str, uploads: Sequence[Round], puts: Sequence[Round]) -> Figure:
    ratios = [upload.images_per_s / put.images_per_s for upload, put in zip(uploads, puts, strict=True)]
    return Figure(what=what, unit="ratio", value=Spread.of(ratios), at_least=0.5)


def _delay(what: str, rounds: Sequence[Round]) -> Figure:
    medians_ms = [1000 * median(each.announced_after_s) for each in rounds]
    return Figure(what=what, unit="ms", value=Spread.of(medians_ms), at_most=50.0)


async def _put(stack: IngestStack, hospital: Hospital, contents: Sequence[bytes]) -> Round:
    before, started = cpu_seconds(stack), perf_counter()
    await side_by_side([partial(hospital.put, content) for content in contents], parallel=PARALLEL)
    return _round(stack, before, started, len(contents))


async def _upload(
    stack: IngestStack, hospital: Hospital, batch_id: str, contents: Sequence[bytes], *, files_per_request: int
) -> Round:
    sends = [
        partial(hospital.upload, batch_id, contents[start : start + files_per_request])
        for start in range(0, len(contents), files_per_request)
    ]
    before, started = cpu_seconds(stack), perf_counter()
    receipts = await side_by_side(sends, parallel=PARALLEL)
    measured = _round(stack, before, started, len(contents))
    delays = [
        await hospital.announced_at(instance_id) - answered_at
        for instance_ids, answered_at in receipts
        for instance_id in instance_ids
    ]
    return replace(measured, announced_after_s=tuple(delays))


def _round(stack: IngestStack, before: dict[str, float], started: float, images: int) -> Round:
    took_s = perf_counter() - started
    after = cpu_seconds(stack)
    return Round(images / took_s, {part: 1000 * (after[part] - before[part]) / images for part in after})
