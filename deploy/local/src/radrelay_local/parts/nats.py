"""NATS with JetStream."""

import json

from radrelay_local import checks
from radrelay_local.credentials import Credentials
from radrelay_local.definition import ProcessDefinition
from radrelay_local.home import Home
from radrelay_local.ports import LOOPBACK
from radrelay_local.programs import program
from radrelay_shared.messaging.topology import AUDIT_HEADS_OF

NAME = "nats"
USER = "radrelay"

# The server only promises it; the streams' own limits add up to six of its eight GiB.
_MAX_FILE_STORE_BYTES = 8 << 30

_DENIED = [
    f"$JS.API.STREAM.{verb}.{stream.name}"
    for stream in AUDIT_HEADS_OF.values()
    for verb in ("DELETE", "UPDATE", "PURGE", "MSG.DELETE")
]

_CONFIGURATION = """\
server_name: radrelay-local
host: {host}
port: {port}
http: "{host}:{monitor}"
authorization {{
  users: [
    {{
      user: {user}, password: {password}
      # Who can write the audit chain must not take back what was published of it.
      permissions: {{ publish: {{ deny: {denied} }} }}
    }}
  ]
}}
jetstream {{
  store_dir: {store}
  max_file_store: {max_file_store}
  max_memory_store: 67108864
  # An acknowledged message is on disk. The default would leave up to two minutes of them in memory.
  sync_interval: always
}}
"""


def definition(home: Home, ports: dict[str, int], credentials: Credentials) -> ProcessDefinition:
    """The broker, its data in the stack's folder."""
    folder = home.data(NAME)
    path = folder / "nats.conf"
    configuration = _CONFIGURATION.format(
        host=LOOPBACK,
        port=ports["nats"],
        monitor=ports["nats.monitor"],
        user=USER,
        # JSON's quoting is the configuration language's.
        password=json.dumps(credentials.nats_password),
        denied=json.dumps(_DENIED),
        store=json.dumps(str(folder / "store")),
        max_file_store=_MAX_FILE_STORE_BYTES,
    )
    return ProcessDefinition(
        name=NAME,
        command=(program("nats-server"), "--config", str(path)),
        files={path: configuration},
        folder=folder,
        address=url(ports),
        ready=checks.http_ok(ports["nats.monitor"], "/healthz"),
    )


def url(ports: dict[str, int]) -> str:
    """The broker's address, without who asks."""
    return f"nats://{LOOPBACK}:{ports['nats']}"


def monitor_url(ports: dict[str, int]) -> str:
    """The address of the monitoring endpoints."""
    return f"http://{LOOPBACK}:{ports['nats.monitor']}"
