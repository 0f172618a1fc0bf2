"""Requests that may be repeated: the client names them by a key, and a repeat gets the answer of the first.

Source: IETF draft-ietf-httpapi-idempotency-key-header-07.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

KEPT_FOR_S: Final = 24 * 3600.0
"""How long an answer is remembered."""
ABANDONED_AFTER_S: Final = 120.0
"""A request that has no answer after so long died with its process: a repeat takes it up."""

# A string of RFC 8941 section 3.3.3 without escapes; the quotes may be left off, as many clients do.
_KEY: Final = re.compile(r"""("?)(?P<key>[\x21\x23-\x5b\x5d-\x7e]{1,255})\1""")


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with a key."""

    key: str
    fingerprint: str
    """Tells whether another request with the same key is the same request."""


@dataclass(frozen=True, slots=True)
class Claim:
    """How a keyed request stands."""

    work_id: UUID
    """Chosen with the key; what the request makes gets this identifier, so that it is made once."""
    fingerprint: str
    is_ours: bool
    """Whether the work is to be done now, and here."""
    answer: str | None


def parse_key(header: str) -> str | None:
    """The key in an `Idempotency-Key` header; None where it is none."""
    found = _KEY.fullmatch(header)
    return found["key"] if found else None


def fingerprint_of(method: str, path: str, content: str) -> str:
    """Tells one request from another, in hexadecimal."""
    return hashlib.sha256("\n".join((method, path, content)).encode()).hexdigest()
