"""Caddy: one origin for the clinician frontend, every public HTTP API and the development issuer."""

import json
from pathlib import Path
from typing import Final

from radrelay_local import checks
from radrelay_local.definition import ProcessDefinition
from radrelay_local.errors import StackError
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

FRONTEND: Final = Path("services/clinician_frontend")
MODEL_CARDS: Final = Path("docs/model-card")
"""As seen from the repository's root, where `make` runs."""

_CADDYFILE = """\
{{
	admin off
	auto_https off
	persist_config off
	grace_period 5s
	# What a client writes into an address or a header may name a patient.
	log {{
		format filter {{
			request>uri delete
			request>headers delete
		}}
	}}
}}

import {frontend}/frontend.caddy

http://:{port} {{
	bind {host}
{routes}
	handle /api/* {{
		error 404
	}}
	# The card is one file with its styles in it, and says itself what it may load.
	handle_path /model-card/* {{
		root * {cards}
		header Content-Security-Policy "sandbox"
		file_server
	}}
	handle {{
		import clinician_frontend {frontend}/public {folder}
	}}
	handle_errors {{
		header Content-Type application/problem+json
		respond `{problem}` {{err.status_code}}
	}}
}}
"""

_PROBLEM = '{"type":"about:blank","title":"{err.status_text}","status":{err.status_code}}'

# What is for operators they ask of the process itself. Progress events are sent on as they come, not when a buffer is
# full.
_ROUTE = """\
	handle_path {path}/* {{
		@operators path /metrics /livez /readyz
		error @operators 404
		reverse_proxy {upstream} {{
			flush_interval -1
		}}
	}}
"""


def origin(ports: dict[str, int]) -> str:
    """The one address that clients know."""
    return f"http://{LOOPBACK}:{ports[NAME]}"


def definition(home: Home, ports: dict[str, int]) -> ProcessDefinition:
    """The proxy in front of everything public.

    Raises:
        StackError: this is not the repository's root, so that the frontend is not there.
    """
    if not FRONTEND.is_dir():
        raise StackError(f"{FRONTEND} is not here: start the stack from the root of the repository")
    folder = home.data(NAME)
    path: Path = folder / "Caddyfile"
    routes = "".join(_ROUTE.format(path=path, upstream=f"{LOOPBACK}:{ports[name]}") for path, name in ROUTES.items())
    caddyfile = _CADDYFILE.format(
        host=LOOPBACK,
        port=ports[NAME],
        routes=routes,
        problem=_PROBLEM,
        frontend=FRONTEND.resolve(),
        cards=MODEL_CARDS.resolve(),
        folder=folder,
    )
    return ProcessDefinition(
        name=NAME,
        command=(program("caddy"), "run", "--config", str(path), "--adapter", "caddyfile"),
        files={path: caddyfile, folder / "config.json": _frontend_configuration()},
        env={"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)},
        folder=folder,
        address=origin(ports),
        ready=checks.tcp(ports[NAME]),
    )


def _frontend_configuration() -> str:
    """The frontend's own example, which is for one origin, and where the demonstration model is described."""
    example = json.loads((FRONTEND / "public" / "config.json").read_text(encoding="utf-8"))
    return json.dumps({**example, "model_cards": {"head-ct-haemorrhage": "/model-card/card.html"}}, indent=2)
