"""What has to be known of a machine to read its figures."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil
import torch

from benchmarks.results import Machine

_LIBRARIES = ("torch", "timm", "openvino", "bentoml", "numpy", "pydicom", "grad-cam", "nats-py", "minio")
_ROOT = Path(__file__).parents[1]


def describe_machine() -> Machine:
    """The machine that it runs on, and the versions of the libraries that matter."""
    return Machine(
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        system=f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        libraries={name: version(name) for name in _LIBRARIES},
    )


def describe_commit() -> str:
    """The commit that is checked out, with `-dirty` where files differ from it, or `unknown` outside a checkout."""
    command = ("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    try:
        found = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
