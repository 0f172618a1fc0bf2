"""`python -m benchmarks.inference`: measures, writes results and report, and shows them."""

import argparse
import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.errors import BenchmarkError
from benchmarks.inference.apart import Apart
from benchmarks.inference.bare import Device, Subject, chosen_runtime
from benchmarks.inference.memory import measure_memory
from benchmarks.inference.model import choose_bundle, describe_bundle, draw_images
from benchmarks.inference.plan import FULL, QUICK, Plan
from benchmarks.inference.processes import Rig, run_rig
from benchmarks.inference.setup import Setup
from benchmarks.inference.single import measure_lone, measure_maps
from benchmarks.inference.site import open_sites
from benchmarks.inference.sweep import sweep_batch_sizes
from benchmarks.inference.throughput import measure_throughput
from benchmarks.machine import describe_commit, describe_machine
from benchmarks.report import RESULTS_FOLDER, render, write_report
from benchmarks.results import Figure, Results, Run, Table
from inference_service.bundles import Bundle
from radrelay_local.stack import DEMONSTRATION_BUNDLE, Infrastructure, start_infrastructure

_SCRATCH = Path("build/benchmarks")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the arguments ask for."""
    options = _parse(arguments)
    # So that whoever is told to end takes the servers along that it started, as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    progress = Console(stderr=True)

    def say(what: str) -> None:
        progress.print(f"{datetime.now():%H:%M:%S} {what}", highlight=False)  # noqa: DTZ005  # the clock on the wall

    try:
        results = _measure(options, say)
    except BenchmarkError as error:
        sys.exit(f"It cannot be measured: {error}")
    results.save(options.output)
    report = write_report(options.output.parent)
    Console().print(Markdown(render([results])))
    say(f"written: {options.output} and {report}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__)
    parser.add_argument("--bundle", type=Path, help=f"default: {DEMONSTRATION_BUNDLE}, or an untrained EfficientNet-B4")
    parser.add_argument("--size", type=int, metavar="PX", help="side of the input; default: what the bundle says")
    parser.add_argument("--memory-images", type=int, help=f"default: {FULL.memory_images}")
    parser.add_argument("--sweep", action="store_true", help="also try several largest batches of the model server")
    parser.add_argument("--quick", action="store_true", help="few repeats: shows that it works, and little more")
    parser.add_argument("--output", type=Path, default=RESULTS_FOLDER / "inference.json", metavar="FILE")
    return parser.parse_args(arguments)


def _measure(options: argparse.Namespace, say: Callable[[str], None]) -> Results:
    plan = QUICK if options.quick else FULL
    if options.memory_images is not None:
        plan = replace(plan, memory_images=options.memory_images)
    started_at, load_average = datetime.now(UTC), os.getloadavg()[0]
    devices: list[Device] = ["cpu"]
    skipped = []
    if torch.cuda.is_available():
        devices.append("cuda")
    else:
        skipped.append(f"on a GPU: PyTorch {torch.__version__} finds no CUDA device here")
    _SCRATCH.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=_SCRATCH) as name:
        scratch = Path(name).resolve()
        say("drawing images, choosing the bundle, starting broker and object store")
        contents = draw_images()
        bundle = choose_bundle(options.bundle, size_px=options.size, scratch=scratch)
        with start_infrastructure(scratch / "infrastructure", prefer_usual_ports=False) as infrastructure:
            runs = [
                _run(bundle, device, plan, contents, infrastructure, scratch, say, sweep=options.sweep)
                for device in devices
            ]
    return Results(
        benchmark="inference",
        command=shlex.join(["python", "-m", "benchmarks.inference", *sys.argv[1:]]),
        commit=describe_commit(),
        started_at=started_at,
        finished_at=datetime.now(UTC),
        load_average=load_average,
        machine=describe_machine(),
        runs=tuple(runs),
        skipped=tuple(skipped),
    )


def _run(
    bundle: Bundle,
    device: Device,
    plan: Plan,
    contents: Sequence[bytes],
    infrastructure: Infrastructure,
    scratch: Path,
    say: Callable[[str], None],
    *,
    sweep: bool,
) -> Run:
    subject = Subject(bundle.directory, device)
    with Apart() as apart:
        name, description = asyncio.run(apart.call(chosen_runtime, subject))
        setup = Setup(subject, name, plan, contents, apart, say)
        say(f"{describe_bundle(bundle)}; {description}")
        figures = asyncio.run(measure_maps(setup))
        with run_rig(infrastructure, subject, name, scratch) as rig:
            measured, tables = asyncio.run(_whole(setup, rig))
        if sweep:
            tables.append(sweep_batch_sizes(setup, infrastructure, scratch))
    return Run(
        device=device,
        runtime=description,
        model=describe_bundle(bundle),
        figures=tuple(figures + measured),
        tables=tuple(tables),
    )


async def _whole(setup: Setup, rig: Rig) -> tuple[list[Figure], list[Table]]:
    """Everything that needs the whole worker, on one that has seen an image before."""
    async with open_sites(rig.infrastructure) as sites:
        lone, lone_tables = await measure_lone(setup, rig, sites)
        throughput, tables = await measure_throughput(setup, rig, sites)
        memory, memory_tables = await measure_memory(setup, rig, sites)
    return throughput[:2] + lone + memory + throughput[2:], tables + lone_tables + memory_tables


if __name__ == "__main__":
    main()
