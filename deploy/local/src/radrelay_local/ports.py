"""Which port every part of the stack listens on. All of them are on loopback."""

import random
import socket
from collections.abc import Collection, Mapping

from radrelay_local.errors import StackError

LOOPBACK = "127.0.0.1"

# A name is that of the process, with what the port is for after a dot when it is not the process's main one.
INFRASTRUCTURE_PORTS: Mapping[str, int] = {
    "nats": 4222,
    "nats.monitor": 8222,
    "objects": 8333,
    "objects.grpc": 18333,
    "objects.master": 9333,
    "objects.master_grpc": 19333,
    "objects.volume": 9340,
    "objects.volume_grpc": 19340,
    "objects.filer": 8888,
    "objects.filer_grpc": 18888,
    "objects.admin": 23646,
    "objects.admin_grpc": 33646,
    "minio-gateway": 9000,
    "minio-gateway.metrics": 9567,
    "postgres": 5432,
}
SERVICE_PORTS: Mapping[str, int] = {
    "edge": 8080,
    "issuer": 8090,
    "ingest-api": 8001,
    "report-api": 8002,
    "dashboard-api": 8003,
    "ingest-dimse": 11112,
    "ingest-dimse.health": 8015,
    "ingest-worker": 8011,
    "report-worker": 8012,
    "dashboard-worker": 8013,
    "inference-worker": 8014,
    "model-server": 3000,
}

# Below the ranges that Linux (32768 on) and macOS (49152 on) hand out to outgoing connections.
_FREE_RANGE = range(20000, 32000)
_ATTEMPTS = 200


def is_free(port: int) -> bool:
    """Whether a process could listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Without this a port in TIME_WAIT after a restart would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose_ports(
    usual: Mapping[str, int], recorded: Mapping[str, int], running: Collection[str], *, prefer_usual: bool
) -> dict[str, int]:
    """A port for every name of `usual`.

    A running process keeps its ports. Otherwise the recorded port is taken again when it is free, then the usual one
    where `prefer_usual`, then any free one.

    Raises:
        StackError: no free port was found.
    """
    chosen = {name: port for name, port in recorded.items() if name.split(".")[0] in running}
    # Next to each other: stacks that start in the same moment seldom choose the same place, often one port of many.
    start = random.randrange(len(_FREE_RANGE))  # noqa: S311  # a place to begin, not a secret
    free = [*_FREE_RANGE[start:], *_FREE_RANGE[:start]][:_ATTEMPTS]
    for name, port in usual.items():
        if name in chosen:
            continue
        candidates = [recorded[name]] if name in recorded else []
        candidates += [port] if prefer_usual else []
        candidates += free
        taken = set(chosen.values())
        found = next((candidate for candidate in candidates if candidate not in taken and is_free(candidate)), None)
        if found is None:
            raise StackError(
                f"no free port for {name}: tried {_ATTEMPTS} between {_FREE_RANGE[0]} and {_FREE_RANGE[-1]}"
            )
        chosen[name] = found
    return chosen
