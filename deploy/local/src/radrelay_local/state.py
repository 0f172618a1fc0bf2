"""What a stack knows of itself between two commands: its ports and the processes it started."""

import json
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path

from radrelay_local.errors import StackError
from radrelay_local.files import write_atomically

_VERSION = 1


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One process that was started. The creation time tells it from another that got its number later."""

    pid: int
    create_time: float
    """Seconds since the epoch."""
    fingerprint: str
    """Of the definition it was started from."""


@dataclass(slots=True)
class State:
    """The contents of `state.json`, saved on every change. Methods may be called from several threads."""

    path: Path
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, ProcessRecord] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def reload(self) -> None:
        """Read what is kept in the file, empty where there is none yet.

        Raises:
            StackError: the file is not one that this version wrote.
        """
        with self._lock:
            if not self.path.exists():
                self.ports, self.processes = {}, {}
                return
            try:
                content = json.loads(self.path.read_text("utf-8"))
                version, ports = content["version"], content["ports"]
                processes = {name: ProcessRecord(**record) for name, record in content["processes"].items()}
            except (ValueError, KeyError, TypeError) as error:
                raise StackError(
                    f"{self.path} cannot be read ({error}); remove it to start afresh, the data stays"
                ) from error
            if version != _VERSION:
                raise StackError(
                    f"{self.path} is of another version of radrelay; stop that stack first or remove the file"
                )
            self.ports, self.processes = ports, processes

    def set_ports(self, ports: dict[str, int]) -> None:
        """Remember every port of the stack."""
        with self._lock:
            self.ports = ports
            self._save()

    def record(self, name: str, record: ProcessRecord) -> None:
        """Remember a process that was just started."""
        with self._lock:
            self.processes[name] = record
            self._save()

    def forget(self, name: str) -> None:
        """Drop a process that has ended."""
        with self._lock:
            if self.processes.pop(name, None):
                self._save()

    def _save(self) -> None:
        content = {
            "version": _VERSION,
            "ports": self.ports,
            "processes": {name: asdict(record) for name, record in self.processes.items()},
        }
        write_atomically(self.path, json.dumps(content, indent=2))
