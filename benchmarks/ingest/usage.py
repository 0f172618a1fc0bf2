"""What the processes of an ingest stack take of the machine."""

import os
from contextlib import suppress

import psutil

from benchmarks.ingest.stack import API, IngestStack
from benchmarks.processor_time import family_seconds

MIB = 2**20


def cpu_seconds(stack: IngestStack) -> dict[str, float]:
    """User and system time of each part, with that of its children, since it began."""
    parts = {
        "API": stack.pid(API),
        "worker": stack.pid("ingest-worker"),
        "PostgreSQL": stack.pid("postgres"),
        "NATS": stack.pid("nats"),
        "S3": stack.pid("objects"),
        "this benchmark": os.getpid(),
    }
    return {name: family_seconds(pid) for name, pid in parts.items() if pid is not None}


def memory_mib(stack: IngestStack) -> float:
    """Proportional set size of the API and its validating processes: pages that they share count once."""
    pid = stack.pid(API)
    if pid is None:
        return 0.0
    process = psutil.Process(pid)
    total = 0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += each.memory_full_info().pss
    return total / MIB
