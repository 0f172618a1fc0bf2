"""Bringing a stack's processes up and down, together or one by one."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self

import psutil

from radrelay_local import preconditions
from radrelay_local.definition import Plan, ProcessDefinition
from radrelay_local.errors import StackError
from radrelay_local.home import Home
from radrelay_local.launcher import Launcher
from radrelay_local.ports import choose_ports
from radrelay_local.schedule import reverse, run_in_order
from radrelay_local.state import State


class Condition(StrEnum):
    """How a process is."""

    READY = "ready"
    NOT_READY = "not ready"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One line of `radrelay status`."""

    name: str
    condition: Condition
    address: str
    pid: int | None
    started_at: float | None
    """Seconds since the epoch."""


class Control(ABC):
    """The processes under one home. Subclasses say which."""

    usual_ports: ClassVar[Mapping[str, int]]
    """The port that each name usually has."""

    def __init__(self, home: Home, *, prefer_usual_ports: bool) -> None:
        self.home = home.root
        self.folders = home
        self._prefer_usual_ports = prefer_usual_ports
        self._state = State(home.state_file)
        self._state.reload()
        self._launcher = Launcher(home, self._state)

    @abstractmethod
    def plan(self) -> Plan:
        """Every process and job, at the ports of now."""

    @property
    def ports(self) -> dict[str, int]:
        """The port of every part.

        Raises:
            StackError: the stack was never started, so that there are none.
        """
        if not self._state.ports.keys() >= self.usual_ports.keys():
            raise StackError(f"the stack in {self.home} has never been up: run radrelay up")
        return self._state.ports

    def up(self) -> None:
        """Start whatever does not run, and return when everything is ready.

        Raises:
            StackError: something did not start. What this call had started is stopped again.
        """
        with self._changing():
            preconditions.check(self.home)
            self._choose_ports()
            running = self._running()
            plan = self.plan()
            wanted = {name for name, each in plan.processes.items() if not each.on_request or name in running}
            starting = {name for name in wanted if not self._launcher.is_current(plan.processes[name])}
            jobs = plan.needed_jobs(starting) | plan.following_jobs(starting)
            self._bring_up(plan, wanted, starting, jobs)

    def down(self) -> None:
        """Stop everything, each process after those that need it. Nothing is left running."""
        with self._changing():
            # Without ports, as after the state file was lost, there would be no plan to find processes by.
            self._choose_ports()
            plan = self.plan()
            self._stop(plan, plan.processes)

    @contextmanager
    def started(self) -> Iterator[Self]:
        """Up inside the block and down after it.

        Raises:
            StackError: something did not start.
        """
        self.up()
        try:
            yield self
        finally:
            self.down()

    def start(self, name: str) -> None:
        """Start one process, and return when it is ready. No harm when it runs already.

        Raises:
            StackError: it did not start.
        """
        with self._changing():
            if self._definition(name).on_request:
                # Nobody held them since the stack went up, and nobody else knows them.
                self._choose_ports(keeping=self.plan().processes.keys() - {name})
            plan = self.plan()
            starting = set() if self._launcher.is_current(self._definition(name)) else {name}
            self._bring_up(plan, {name}, starting, plan.following_jobs(starting))

    def stop(self, name: str) -> None:
        """Let one process finish what it has in hand, and return when it has ended."""
        with self._changing():
            self._launcher.stop(self._definition(name))

    def restart(self, name: str) -> None:
        """Stop one process and start it again."""
        self.stop(name)
        self.start(name)

    def kill(self, name: str) -> None:
        """SIGKILL one process and its children, and return when they are gone."""
        with self._changing():
            self._launcher.kill(self._definition(name).name)

    def suspend(self, name: str) -> None:
        """SIGSTOP one process and its children."""
        self._launcher.signal_all(self._definition(name).name, psutil.Process.suspend)

    def resume(self, name: str) -> None:
        """SIGCONT one process and its children."""
        self._launcher.signal_all(self._definition(name).name, psutil.Process.resume)

    def is_running(self) -> bool:
        """Whether any process of the stack runs."""
        return bool(self._running())

    def pid(self, name: str) -> int | None:
        """The process's number, or None when it does not run."""
        process = self._launcher.find(name)
        return process.pid if process else None

    def status(self) -> list[ProcessStatus]:
        """How every process is, in the order of the plan."""
        self._state.reload()

        def look(definition: ProcessDefinition) -> ProcessStatus:
            process = self._launcher.find(definition.name)
            if process is None:
                return ProcessStatus(definition.name, Condition.STOPPED, definition.address, None, None)
            condition = Condition.READY if definition.ready() else Condition.NOT_READY
            record = self._state.processes[definition.name]
            return ProcessStatus(definition.name, condition, definition.address, record.pid, record.create_time)

        definitions = [d for d in self.plan().processes.values() if not d.on_request or self.pid(d.name)]
        with ThreadPoolExecutor(max_workers=len(definitions)) as pool:
            return list(pool.map(look, definitions))

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self.folders.lock():
            self._state.reload()
            yield

    def _choose_ports(self, *, keeping: Collection[str] = ()) -> None:
        """Choose the ports of what does not run, but for those that keep theirs all the same."""
        recorded, kept = self._state.ports, {*self._running(), *keeping}
        chosen = choose_ports(self.usual_ports, recorded, kept, prefer_usual=self._prefer_usual_ports)
        self._state.set_ports({**recorded, **chosen})

    def _running(self) -> list[str]:
        return [name for name in tuple(self._state.processes) if self._launcher.find(name)]

    def _definition(self, name: str) -> ProcessDefinition:
        processes = self.plan().processes
        if name not in processes:
            raise StackError(f"there is no process {name!r}; there are {', '.join(processes)}")
        return processes[name]

    def _bring_up(self, plan: Plan, wanted: set[str], starting: set[str], jobs: set[str]) -> None:
        started: list[str] = []

        def bring_up(name: str, abort: threading.Event) -> None:
            if name in jobs:
                plan.jobs[name].run()
                return
            definition = plan.processes[name]
            if name in starting:
                # Ends one that runs by an older definition, and what a killed one left behind.
                self._launcher.stop(definition)
                started.append(name)
                self._launcher.start(definition)
            self._launcher.wait_ready(definition, abort)

        try:
            run_in_order({name: before for name, before in plan.order().items() if name in wanted | jobs}, bring_up)
        except BaseException:
            self._stop(plan, started)
            raise

    def _stop(self, plan: Plan, names: Iterable[str]) -> None:
        stopping = set(names)

        def stop(name: str, _: threading.Event) -> None:
            if name in stopping:
                self._launcher.stop(plan.processes[name])

        run_in_order(reverse(plan.order()), stop)
