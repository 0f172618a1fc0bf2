"""Passwords and keys of one stack: random, made once, kept in a file that only its user reads."""

import base64
import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import Self

from radrelay_local.files import write_atomically
from radrelay_local.home import Home
from radrelay_shared.sealing import KEY_BYTES

STATEFUL_SERVICES = ("ingest", "report", "dashboard")
ROLES = ("owner", "app", "system")


def _password() -> str:
    return secrets.token_urlsafe(24)


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _role_passwords() -> dict[str, dict[str, str]]:
    return {service: {role: _password() for role in ROLES} for service in STATEFUL_SERVICES}


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may use the stack's parts. Every value may stand in an address as it is."""

    nats_password: str = field(default_factory=_password)
    objects_secret_key: str = field(default_factory=_password)
    postgres_password: str = field(default_factory=_password)
    report_link_key: str = field(default_factory=_password)
    """Signs the links to pictures that the report service gives out."""
    report_destination_key: str = field(default_factory=_key)
    """Seals the secrets of destinations."""
    roles: dict[str, dict[str, str]] = field(default_factory=_role_passwords)
    """Passwords by service and role."""

    @classmethod
    def of(cls, home: Home) -> Self:
        """Those kept in `home`; what was never needed before is made now."""
        kept = json.loads(home.credentials_file.read_text("utf-8")) if home.credentials_file.exists() else {}
        credentials = cls(**kept)
        if asdict(credentials) != kept:
            home.create()
            write_atomically(home.credentials_file, json.dumps(asdict(credentials), indent=2))
        return credentials
