"""Starting, finding, stopping and killing the processes of one stack."""

import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO

import psutil

from radrelay_local.definition import ProcessDefinition
from radrelay_local.errors import StackError
from radrelay_local.files import write_atomically
from radrelay_local.home import Home
from radrelay_local.state import ProcessRecord, State

_log = logging.getLogger(__name__)

# Every process of a stack carries these, and so do its children: what a crash left behind is found by them.
_STACK_MARK = "RADRELAY_STACK"
_NAME_MARK = "RADRELAY_PROCESS"

_CLOCK_TOLERANCE_S = 2.0
_POLL_S = 0.05
_CHILDREN_GRACE_S = 5.0
_LOG_KEPT_BYTES = 20_000_000
_TAIL_LINES = 30

# The processes started from here, whichever launcher did it: they outlive it.
_children: list[subprocess.Popen[bytes]] = []
_collecting = threading.Lock()


class Launcher:
    """The processes of the stack in `home`. `state` is where they are remembered."""

    def __init__(self, home: Home, state: State) -> None:
        self._home = home
        self._state = state
        self._log_starts: dict[str, int] = {}

    def find(self, name: str) -> psutil.Process | None:
        """The running process `name`, or None."""
        record = self._state.processes.get(name)
        if record is None:
            return None
        _collect_ended_children()
        try:
            process = psutil.Process(record.pid)
            if abs(process.create_time() - record.create_time) > _CLOCK_TOLERANCE_S:
                return None
            return None if process.status() == psutil.STATUS_ZOMBIE else process
        except psutil.NoSuchProcess:
            return None

    def is_current(self, definition: ProcessDefinition) -> bool:
        """Whether the process runs, and as `definition` says."""
        record = self._state.processes.get(definition.name)
        return (
            self.find(definition.name) is not None
            and record is not None
            and record.fingerprint == definition.fingerprint
        )

    def start(self, definition: ProcessDefinition) -> None:
        """Start a process that does not run. What an earlier one left behind is ended first.

        Raises:
            StackError: it cannot be prepared or started.
        """
        self._kill_leftovers(definition.name)
        for path, text in definition.files.items():
            write_atomically(path, text)
        definition.prepare()
        with self._open_log(definition.name) as log:
            try:
                child = subprocess.Popen(
                    definition.command,
                    env=self._environment(definition),
                    cwd=definition.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    # A session of its own: Ctrl-C in a terminal ends the command, not the stack.
                    start_new_session=True,
                )
            except OSError as error:
                raise StackError(f"{definition.name} cannot be started: {error}") from error
        with _collecting:
            _children.append(child)
        created = psutil.Process(child.pid).create_time()
        self._state.record(definition.name, ProcessRecord(child.pid, created, definition.fingerprint))

    def wait_ready(self, definition: ProcessDefinition, abort: threading.Event) -> None:
        """Return when the process does its work.

        Raises:
            StackError: it ended, or was not ready in time; the message ends with the last lines of its log.
        """
        deadline = time.monotonic() + definition.ready_timeout_s
        while not definition.ready():
            if self.find(definition.name) is None:
                raise StackError(f"{definition.name} ended before it was ready.\n{self.log_tail(definition.name)}")
            if time.monotonic() > deadline:
                raise StackError(
                    f"{definition.name} was not ready within {definition.ready_timeout_s:.0f} s.\n"
                    f"{self.log_tail(definition.name)}"
                )
            if abort.wait(_POLL_S):
                raise StackError(f"{definition.name} was given up")
        if self.find(definition.name) is None:
            raise StackError(
                f"{definition.name} ended; something else answers at {definition.address}.\n"
                f"{self.log_tail(definition.name)}"
            )

    def stop(self, definition: ProcessDefinition) -> None:
        """Ask the process to end, wait until it has, and end what it left. Kills it only when it does not follow."""
        process = self.find(definition.name)
        if process is not None:
            # A suspended process would never see the signal.
            self.signal_all(definition.name, psutil.Process.resume)
            with suppress(psutil.NoSuchProcess):
                process.send_signal(definition.stop_signal)
            if not _ended(process, definition.grace_s):
                _log.warning("%s did not end within %.0f s and was killed", definition.name, definition.grace_s)
                self.kill(definition.name)
        self._forget(definition.name, leftover_grace_s=_CHILDREN_GRACE_S)

    def kill(self, name: str) -> None:
        """SIGKILL the process and its children, and return when they are gone."""
        process = self.find(name)
        if process is not None:
            _kill(process)
        self._forget(name, leftover_grace_s=0.0)

    def signal_all(self, name: str, action: Callable[[psutil.Process], None]) -> None:
        """Do `action` to the process and to its children.

        Raises:
            StackError: it does not run.
        """
        process = self.find(name)
        if process is None:
            raise StackError(f"{name} does not run")
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                action(each)

    def log_tail(self, name: str, lines: int = _TAIL_LINES) -> str:
        """The last lines that the process or job wrote since it was last started here."""
        path = self._home.log(name)
        if not path.exists():
            return f"(nothing in {path})"
        with path.open("rb") as file:
            file.seek(self._log_starts.get(name, 0))
            text = file.read().decode("utf-8", "replace")
        return "\n".join([f"The end of {path}:", *(f"  {line}" for line in text.splitlines()[-lines:])])

    def _open_log(self, name: str) -> IO[bytes]:
        path = self._home.log(name)
        if path.exists() and path.stat().st_size > _LOG_KEPT_BYTES:
            path.replace(path.with_suffix(".log.1"))
        file = path.open("ab")
        self._log_starts[name] = file.tell()
        return file

    def _environment(self, definition: ProcessDefinition) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in {_STACK_MARK, _NAME_MARK}}
        return {
            **inherited,
            "PYTHONUNBUFFERED": "1",
            # A proxy that the user needs outside must not get what stays on loopback.
            "NO_PROXY": ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1,localhost"))),
            **definition.env,
            _STACK_MARK: str(self._home.root),
            _NAME_MARK: definition.name,
        }

    def _forget(self, name: str, *, leftover_grace_s: float) -> None:
        self._kill_leftovers(name, grace_s=leftover_grace_s)
        if (record := self._state.processes.get(name)) is not None:
            _await_child(record.pid)
        _collect_ended_children()
        self._state.forget(name)

    def _kill_leftovers(self, name: str, grace_s: float = 0.0) -> None:
        for process in self._marked(name):
            if grace_s:
                with suppress(psutil.NoSuchProcess):
                    process.terminate()
                if _ended(process, grace_s):
                    continue
            _log.warning("%s left process %d behind, which was killed", name, process.pid)
            _kill(process)

    def _marked(self, name: str) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                environment = process.environ()
            except (psutil.Error, OSError):
                # Another user's, or gone meanwhile: not ours.
                continue
            if environment.get(_STACK_MARK) == str(self._home.root) and environment.get(_NAME_MARK) == name:
                found.append(process)
        return found


def _collect_ended_children() -> None:
    """An ended child stays as a zombie, and keeps its number, until it is asked how it ended."""
    # One thread at a time: `poll` says "still running" of a child that another thread is just asking.
    with _collecting:
        _children[:] = [child for child in _children if child.poll() is None]


def _await_child(pid: int) -> None:
    """A process looks ended when its first thread is; it can be collected only when its last one is."""
    for child in tuple(_children):
        if child.pid == pid:
            with suppress(subprocess.TimeoutExpired):
                child.wait(_CHILDREN_GRACE_S)


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()
        _ended(process, _CHILDREN_GRACE_S)


def _ended(process: psutil.Process, timeout_s: float) -> bool:
    """Whether the process ends within the time. One that nobody has collected yet counts as ended."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(_POLL_S)
    return False
