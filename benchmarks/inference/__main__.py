"""`python -m benchmarks.inference`: measures, writes results and report, and shows them."""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import torch

from benchmarks.execution import Say, execute, parser_of, scratch_folder
from benchmarks.inference.apart import Apart
from benchmarks.inference.bare import Device, Subject, chosen_runtime
from benchmarks.inference.memory import measure_memory
from benchmarks.inference.model import choose_bundle, describe_bundle, draw_images
from benchmarks.inference.plan import FULL, QUICK
from benchmarks.inference.processes import Rig, run_rig
from benchmarks.inference.setup import Setup
from benchmarks.inference.single import measure_lone, measure_maps
from benchmarks.inference.site import open_sites
from benchmarks.inference.sweep import sweep_batch_sizes
from benchmarks.inference.throughput import measure_throughput
from benchmarks.layout import kept_to, layouts
from benchmarks.results import Figure, Run, Table
from radrelay_local.stack import DEMONSTRATION_BUNDLE, Infrastructure, start_infrastructure


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the arguments ask for."""
    options = _parse(arguments)
    execute("inference", partial(_measure, options), options.output)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_of("inference", __doc__, quick="few repeats")
    parser.add_argument("--bundle", type=Path, help=f"default: {DEMONSTRATION_BUNDLE}")
    parser.add_argument("--size", type=int, metavar="PX", help="side of the input; default: what the bundle says")
    parser.add_argument("--memory-images", type=int, help=f"default: {FULL.memory_images}")
    parser.add_argument("--sweep", action="store_true", help="also try several largest batches of the model server")
    return parser.parse_args(arguments)


def _measure(options: argparse.Namespace, say: Say) -> tuple[list[Run], list[str]]:
    plan = QUICK if options.quick else FULL
    if options.memory_images is not None:
        plan = replace(plan, memory_images=options.memory_images)
    devices: list[Device] = ["cpu"]
    skipped = []
    if torch.cuda.is_available():
        devices.append("cuda")
    else:
        skipped.append(f"on a GPU: PyTorch {torch.__version__} finds no CUDA device here")
    contents = draw_images()
    runs: list[Run] = []
    with scratch_folder() as scratch:
        bundle = choose_bundle(options.bundle, size_px=options.size, scratch=scratch)
        for device, layout in product(devices, layouts()):
            say(f"on {device}, {layout.setting}: starting broker and object store")
            folder = scratch / f"{len(runs)}"
            with (
                kept_to(layout.others),
                start_infrastructure(folder / "infrastructure", prefer_usual_ports=False) as infrastructure,
                Apart(layout.service) as apart,
            ):
                name, description = asyncio.run(apart.call(chosen_runtime, Subject(bundle.directory, device)))
                setup = Setup(Subject(bundle.directory, device), name, plan, layout, contents, apart, say)
                say(f"{describe_bundle(bundle)}; {description}")
                if layout.is_shared:
                    figures, tables = _everything(setup, infrastructure, folder, sweep=options.sweep)
                else:
                    figures, tables = _throughput(setup, infrastructure, folder)
            runs.append(
                Run(
                    setting=f"On {device}, {layout.setting}: {description}",
                    subject=describe_bundle(bundle),
                    figures=tuple(figures),
                    tables=tuple(tables),
                )
            )
    return runs, skipped


def _everything(
    setup: Setup, infrastructure: Infrastructure, folder: Path, *, sweep: bool
) -> tuple[list[Figure], list[Table]]:
    figures = asyncio.run(measure_maps(setup))
    with run_rig(infrastructure, setup.subject, setup.runtime, folder, setup.layout.service) as rig:
        measured, tables = asyncio.run(_whole(setup, rig))
    if sweep:
        tables.append(sweep_batch_sizes(setup, infrastructure, folder))
    return figures + measured, tables


def _throughput(setup: Setup, infrastructure: Infrastructure, folder: Path) -> tuple[list[Figure], list[Table]]:
    """What depends on who else has the cores of the service."""
    with run_rig(infrastructure, setup.subject, setup.runtime, folder, setup.layout.service) as rig:
        return asyncio.run(_under_load(setup, rig))


async def _under_load(setup: Setup, rig: Rig) -> tuple[list[Figure], list[Table]]:
    async with open_sites(rig.infrastructure) as sites:
        return await measure_throughput(setup, rig, sites)


async def _whole(setup: Setup, rig: Rig) -> tuple[list[Figure], list[Table]]:
    """Everything that needs the whole worker, on one that has seen an image before."""
    async with open_sites(rig.infrastructure) as sites:
        lone, lone_tables = await measure_lone(setup, rig, sites)
        throughput, tables = await measure_throughput(setup, rig, sites)
        memory, memory_tables = await measure_memory(setup, rig, sites)
    return throughput[:2] + lone + memory + throughput[2:], tables + lone_tables + memory_tables


if __name__ == "__main__":
    main()
