"""Caddy: one origin for every public HTTP API and for the development issuer."""

from pathlib import Path

from radrelay_local import checks
from radrelay_local.definition import ProcessDefinition
from radrelay_local.home import Home
from radrelay_local.ports import LOOPBACK
from radrelay_local.programs import program

NAME = "edge"

# Path under the origin, and the process that serves it; the path is taken off before the request goes there.
ROUTES = {
    "/api/ingest": "ingest-api",
    "/api/reports": "report-api",
    "/api/dashboard": "dashboard-api",
    "/auth": "issuer",
}

_CADDYFILE = """\
{{
	admin off
	auto_https off
	persist_config off
	grace_period 5s
}}

http://:{port} {{
	bind {host}
{routes}
	handle {{
		error 404
	}}
	handle_errors {{
		header Content-Type application/problem+json
		respond `{problem}` {{err.status_code}}
	}}
}}
"""

_PROBLEM = '{"type":"about:blank","title":"{err.status_text}","status":{err.status_code}}'

# Progress events are sent on as they come, not when a buffer is full.
_ROUTE = """\
	handle_path {path}/* {{
		reverse_proxy {upstream} {{
			flush_interval -1
		}}
	}}
"""


def origin(ports: dict[str, int]) -> str:
    """The one address that clients know."""
    return f"http://{LOOPBACK}:{ports[NAME]}"


def definition(home: Home, ports: dict[str, int]) -> ProcessDefinition:
    """The proxy in front of everything public."""
    folder = home.data(NAME)
    path: Path = folder / "Caddyfile"
    routes = "".join(_ROUTE.format(path=path, upstream=f"{LOOPBACK}:{ports[name]}") for path, name in ROUTES.items())
    return ProcessDefinition(
        name=NAME,
        command=(program("caddy"), "run", "--config", str(path), "--adapter", "caddyfile"),
        files={path: _CADDYFILE.format(host=LOOPBACK, port=ports[NAME], routes=routes, problem=_PROBLEM)},
        env={"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)},
        folder=folder,
        address=origin(ports),
        ready=checks.tcp(ports[NAME]),
    )
