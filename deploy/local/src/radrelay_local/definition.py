"""What the stack is made of: processes, jobs that run once, and what each waits for."""

import hashlib
import json
import signal
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

from radrelay_local.checks import Check


def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True)
class ProcessDefinition:
    """A process that runs as long as the stack is up."""

    name: str
    command: tuple[str, ...]
    ready: Check
    address: str
    """Where people or other processes reach it."""
    folder: Path
    """Its working directory."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of the command that starts it."""
    files: Mapping[Path, str] = field(default_factory=dict)
    """Its configuration files, written before every start."""
    after: tuple[str, ...] = ()
    """Processes and jobs that come first."""
    prepare: Callable[[], None] = _nothing
    """Run before every start: first-time set-up, what a crash left behind."""
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 30.0
    """How long it may take to finish what it has in hand."""
    ready_timeout_s: float = 60.0
    on_request: bool = False
    """Whether it starts only when it is asked for by name."""

    @property
    def fingerprint(self) -> str:
        """Changes when the process has to be restarted to follow its definition."""
        files = sorted((str(path), text) for path, text in self.files.items())
        content = json.dumps([self.command, sorted(self.env.items()), files])
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Job:
    """Something that has to be done before processes start; doing it again changes nothing."""

    name: str
    run: Callable[[], None]
    """Raises StackError when it fails."""
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a stack consists of, by name."""

    processes: Mapping[str, ProcessDefinition]
    jobs: Mapping[str, Job]

    @classmethod
    def of(cls, *parts: ProcessDefinition | Job) -> "Plan":
        """The plan of these parts."""
        return cls(
            {part.name: part for part in parts if isinstance(part, ProcessDefinition)},
            {part.name: part for part in parts if isinstance(part, Job)},
        )

    def order(self) -> dict[str, tuple[str, ...]]:
        """For every part, what comes before it."""
        parts: list[ProcessDefinition | Job] = [*self.processes.values(), *self.jobs.values()]
        return {part.name: part.after for part in parts}

    def needed_jobs(self, starting: Collection[str]) -> set[str]:
        """The jobs that the processes in `starting` wait for, directly or through other parts."""
        order = self.order()
        needed: set[str] = set()
        for name in reversed(tuple(TopologicalSorter(order).static_order())):
            if name in starting or name in needed:
                needed.update(order[name])
        return needed & self.jobs.keys()

    def following_jobs(self, starting: Collection[str]) -> set[str]:
        """The jobs that work on a process in `starting`."""
        return {name for name, job in self.jobs.items() if not set(job.after).isdisjoint(starting)}
