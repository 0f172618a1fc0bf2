"""The development token issuer as a process of the stack."""

import json

from radrelay_local import checks
from radrelay_local.definition import ProcessDefinition
from radrelay_local.home import Home
from radrelay_local.parts import edge
from radrelay_local.ports import LOOPBACK
from radrelay_local.programs import python

NAME = "issuer"
AUDIENCE = "radrelay"


def identifier(ports: dict[str, int]) -> str:
    """The `iss` of every token: where clients find the issuer, behind the edge."""
    return f"{edge.origin(ports)}/auth"


def jwks_url(ports: dict[str, int]) -> str:
    """Where services fetch the keys, without a detour over the edge."""
    return f"http://{LOOPBACK}:{ports[NAME]}/jwks"


def definition(home: Home, ports: dict[str, int]) -> ProcessDefinition:
    """The issuer; its key stays in the stack's folder."""
    folder = home.data(NAME)
    return ProcessDefinition(
        name=NAME,
        command=(
            *(python(), "-m", "uvicorn", "--factory", "radrelay_local.issuer.main:create_app"),
            *("--host", LOOPBACK, "--port", str(ports[NAME]), "--no-access-log"),
        ),
        env={
            "RADRELAY_ISSUER_IDENTIFIER": identifier(ports),
            "RADRELAY_ISSUER_AUDIENCE": AUDIENCE,
            "RADRELAY_ISSUER_KEY_FILE": str(folder / "key.pem"),
            "RADRELAY_ISSUER_REDIRECT_URIS": json.dumps([f"{edge.origin(ports)}/signed-in"]),
            "RADRELAY_ISSUER_POST_LOGOUT_REDIRECT_URIS": json.dumps([f"{edge.origin(ports)}/"]),
        },
        folder=folder,
        address=identifier(ports),
        ready=checks.http_ok(ports[NAME], "/.well-known/openid-configuration"),
    )
