"""What the processes of a rig take of the machine."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.inference.processes import Rig

MIB = 2**20
Parts = Mapping[str, tuple[psutil.Process, ...]]
WORKER, DECODERS, SERVER = "worker", "fork server and decoders", "model server"


def parts_of(rig: Rig) -> Parts:
    """The processes that a case passes through, and this one, which sends and listens."""
    worker = psutil.Process(rig.worker_pid)
    server = psutil.Process(rig.server_pid)
    parts = {
        WORKER: (worker,),
        DECODERS: tuple(worker.children(recursive=True)),
        SERVER: (server, *server.children(recursive=True)),
        "this benchmark": (psutil.Process(os.getpid()),),
    }
    for part, name in (("NATS", "nats"), ("S3", "objects")):
        pid = rig.infrastructure.pid(name)
        parts[part] = () if pid is None else (psutil.Process(pid),)
    return parts


def cpu_seconds(parts: Parts) -> dict[str, float]:
    """User and system time of each part since its processes began."""
    return {name: sum(sum(each.cpu_times()[:2]) for each in processes) for name, processes in parts.items()}


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of one process."""

    resident_mib: float
    peak_mib: float
    """The most that was ever resident."""


def memory_of(parts: Parts) -> dict[str, Memory]:
    """Resident memory of every process of the worker and of the model server, by a name for people."""
    return {
        f"{part} {number}" if len(processes) > 1 else part: _memory(process)
        for part, processes in parts.items()
        if part in {WORKER, DECODERS, SERVER}
        for number, process in enumerate(processes, start=1)
    }


def _memory(process: psutil.Process) -> Memory:
    """From the kernel's VmRSS and VmHWM, both in KiB (proc(5))."""
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
    fields = {name: value for name, _, value in (line.partition(":") for line in lines)}
    resident_mib, peak_mib = (int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return Memory(resident_mib, peak_mib)


def metric_sums(url: str, *prefixes: str) -> dict[str, float]:
    """Sums and counts of the histograms that a process offers, by sample name and stage, over all other labels."""
    text = httpx.get(f"{url}/metrics", timeout=10.0, trust_env=False, follow_redirects=True).raise_for_status().text
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith(prefixes):
            for sample in family.samples:
                if sample.name.endswith(("_sum", "_count")):
                    name = f"{sample.name} {sample.labels.get('stage', '')}".strip()
                    sums[name] = sums.get(name, 0.0) + sample.value
    return sums
