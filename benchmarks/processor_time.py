"""What processes took of the processors."""

import os
from contextlib import suppress

import psutil


def family_seconds(pid: int) -> float:
    """User and system time of a process, with that of its children, since it began; of this one, without theirs."""
    process = psutil.Process(pid)
    family = [process] if pid == os.getpid() else [process, *process.children(recursive=True)]
    total = 0.0
    for each in family:
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total
