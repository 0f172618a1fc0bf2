"""Secrets for a trial on local-infra: `python -m deploy.k8s.development_secrets | kubectl create -f -`.

Random, and printed nowhere else. `create` refuses where they are there already: the database keeps its first passwords.
For development: the object store has one user for everything.
"""

import base64
import json
import secrets
import sys
from typing import Any, Final

import yaml

from deploy.k8s.checks.manifests import NAMESPACE

_STATEFUL: Final = ("ingest", "report", "dashboard")
_ROLES: Final = ("app", "system", "owner")
_DATABASE: Final = "postgres:5432/radrelay"


def password() -> str:
    """Random, and plain wherever it may stand: in an address, and in the configuration language of NATS."""
    return f"p{secrets.token_hex(20)}"


def contents() -> dict[str, dict[str, str]]:
    """Each Secret, by its keys."""
    superuser = password()
    administrator = f"postgresql+asyncpg://postgres:{superuser}@{_DATABASE}"
    store = {"access_key": "radrelay", "secret_key": password()}
    kms_key = base64.b64encode(secrets.token_bytes(32)).decode()
    return {
        "nats": {"user": "radrelay", "password": password()},
        "objects": store,
        "objects-eraser": store,
        "objects-administrator": {**store, "kms_key": f"radrelay:{kms_key}"},
        "postgres": {"password": superuser},
        "report-destinations": {"sealing": json.dumps([base64.b64encode(secrets.token_bytes(32)).decode()])},
        "report-links": {"keys": json.dumps([secrets.token_urlsafe(32)])},
        **{f"{service}-database": {**_addresses(service), "admin_url": administrator} for service in _STATEFUL},
    }


def _addresses(service: str) -> dict[str, str]:
    return {f"{role}_url": f"postgresql+asyncpg://{service}_{role}:{password()}@{_DATABASE}" for role in _ROLES}


def manifests() -> list[dict[str, Any]]:
    """The Secrets as objects of Kubernetes."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"radrelay.org/purpose": "development"}},
            "type": "Opaque",
            "stringData": dict(data),
        }
        for name, data in contents().items()
    ]


if __name__ == "__main__":
    yaml.safe_dump_all(manifests(), sys.stdout)
