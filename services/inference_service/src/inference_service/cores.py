"""How many processor cores this process really has."""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def available_cores(cgroup: Path = CGROUP) -> int:
    """Cores that the affinity mask and the container's CPU quota (cgroup v2 `cpu.max`, else v1) leave; at least 1.

    A quota of part of a core counts as a whole one.
    """
    cores = len(os.sched_getaffinity(0))
    quota = _quota(cgroup)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    v2 = cgroup / "cpu.max"
    if v2.exists():
        limit, period = v2.read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    v1 = cgroup / "cpu" / "cpu.cfs_quota_us"
    if v1.exists() and (limit_us := int(v1.read_text())) > 0:
        return limit_us / int((v1.parent / "cpu.cfs_period_us").read_text())
    return None
