"""Webhooks: how an event is signed, and how the secret is kept that it is signed with.

Sources: Standard Webhooks 1.0.0 (https://github.com/standard-webhooks/standard-webhooks, "Signature scheme");
CloudEvents 1.0.2, HTTP Protocol Binding, section 3.2 "Structured Content Mode".
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from radrelay_shared.events import CONTENT_TYPE
from radrelay_shared.sealing import BadSeal, Seal, derive_key

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """A random secret, as Standard Webhooks writes symmetric ones."""
    return _PREFIX + base64.b64encode(os.urandom(_SECRET_BYTES)).decode()


def headers_of(event_id: str, body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """What an event is sent with: a receiver knows by it who sent it, when, and whether it had it before."""
    timestamp = str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": CONTENT_TYPE,
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }


class SecretVault:
    """Keeps the secrets of destinations sealed, each for its tenant and destination."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """The first key seals, all of them open; without one nothing can be kept."""
        self._keys = list(keys)

    @property
    def can_seal(self) -> bool:
        """Whether there is a key."""
        return bool(self._keys)

    def seal(self, tenant: str, destination_id: UUID, secret: str) -> bytes:
        """The secret, sealed by the first key."""
        return _seal(self._keys[0], tenant).seal(secret.encode(), destination_id.bytes)

    def open(self, tenant: str, destination_id: UUID, sealed: bytes) -> str:
        """The secret that was sealed for this destination.

        Raises:
            BadSeal: no key here opens it.
        """
        for key in self._keys:
            try:
                return _seal(key, tenant).open(sealed, destination_id.bytes).decode()
            except BadSeal:
                continue
        raise BadSeal


def _seal(key: bytes, tenant: str) -> Seal:
    return Seal(derive_key(key, "destinations", tenant, "secrets"))
