"""What a validating process does first. Imports as little as can be: every new process imports it again."""

import resource


def confine(memory_bytes: int) -> None:
    """Bound the memory of this process, and keep patient data out of core dumps."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer() -> None:
    """Proves that a process is up."""
