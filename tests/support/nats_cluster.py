"""The three NATS servers of the Kubernetes manifests on this machine, from the very configuration that is rendered."""

import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from radrelay_local.ports import LOOPBACK, choose_ports
from radrelay_local.programs import program
from radrelay_shared.messaging import NatsSettings

USER: Final = "radrelay"
PASSWORD: Final = "p0123456789abcdef"
_START_S: Final = 60.0


@dataclass(frozen=True)
class Server:
    """One of the servers."""

    name: str
    client: int
    cluster: int
    monitor: int

    def ask(self, path: str) -> dict[str, Any]:
        """What its monitoring port answers."""
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.monitor}{path}", timeout=5) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    def has_a_leader(self) -> bool:
        """Whether it is up and the servers have agreed on who leads them."""
        try:
            meta = self.ask("/jsz").get("meta_cluster", {})
        except OSError:
            return False
        return bool(meta.get("leader")) and meta.get("cluster_size") == 3


@contextmanager
def run_cluster(configuration: str, folder: Path) -> Iterator[list[Server]]:
    """The servers, agreed on their leader.

    Args:
        configuration: `nats.conf` as it is mounted; ports, addresses and the folder of the data are changed, since
            three of them are on one machine here.
        folder: for their data.
    """
    names = [f"nats-{number}" for number in range(3)]
    uses = {f"{name}.{use}": 0 for name in names for use in ("client", "cluster", "monitor")}
    ports = choose_ports(uses, {}, (), prefer_usual=False)
    servers = [Server(name, *(ports[f"{name}.{use}"] for use in ("client", "cluster", "monitor"))) for name in names]
    processes = []
    try:
        for server in servers:
            path = folder / f"{server.name}.conf"
            path.write_text(_on_loopback(configuration, server, servers, folder))
            environment = {"POD_NAME": server.name, "NATS_USER": USER, "NATS_PASSWORD": PASSWORD}
            with (folder / f"{server.name}.log").open("w") as log:
                command = [program("nats-server"), "--config", str(path)]
                processes.append(subprocess.Popen(command, env=os.environ | environment, stderr=log))
        deadline = time.monotonic() + _START_S
        while not all(server.has_a_leader() for server in servers):
            if time.monotonic() > deadline or any(process.poll() is not None for process in processes):
                raise RuntimeError("\n".join(each.read_text()[-2000:] for each in folder.glob("*.log")))
            time.sleep(0.1)
        yield servers
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def settings(server: Server) -> NatsSettings:
    """How workers reach it."""
    given = {"url": f"nats://{LOOPBACK}:{server.client}", "user": USER, "password": PASSWORD}
    return NatsSettings.model_validate({**given, "streams": {"replicas": 3}})


def _on_loopback(configuration: str, server: Server, servers: list[Server], folder: Path) -> str:
    """Ports, routes and folders of this machine in place of the pods'; each must be there to be changed."""
    for old, new in (
        ("port: 4222", f"host: {LOOPBACK}\nport: {server.client}"),
        ("http_port: 8222", f'http: "{LOOPBACK}:{server.monitor}"'),
        ("port: 6222", f"host: {LOOPBACK}\nport: {server.cluster}"),
        ("pid_file: /tmp/nats.pid", f"pid_file: {json.dumps(str(folder / f'{server.name}.pid'))}"),
        ("store_dir: /data", f"store_dir: {json.dumps(str(folder / server.name))}"),
    ):
        assert configuration.count(old) == 1, old
        configuration = configuration.replace(old, new)
    routes = [f"nats://{LOOPBACK}:{each.cluster}" for each in servers]
    configuration, changed = re.subn(r"routes: \[[^]]*\]", f"routes: {json.dumps(routes)}", configuration)
    assert changed == 1
    return configuration
