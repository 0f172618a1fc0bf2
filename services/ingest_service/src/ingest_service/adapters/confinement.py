"""What a validating process does first. Imports as little as can be: every new process imports it again."""

import logging
import resource
import warnings
from pathlib import Path


def confine(memory_bytes: int) -> None:
    """Bound what this process may still take, keep patient data out of core dumps, and say nothing of its own.

    pydicom logs and warns of values from the file.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    ceiling = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")


def answer() -> None:
    """Proves that a process is up."""
