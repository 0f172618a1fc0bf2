"""Secrets of tenants: a key for each purpose out of one, and what is sealed under it.

Sources: HKDF (RFC 5869) with SHA-256, AES-256-GCM (NIST SP 800-38D).
"""

import base64
import binascii
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class BadSeal(ValueError):
    """Sealed by another key, bound to something else, or changed since."""


def decode_key(text: SecretStr) -> bytes:
    """A key that is given in base64; empty where it is not base64."""
    try:
        return base64.b64decode(text.get_secret_value(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def derive_key(key: bytes, realm: str, tenant: str, purpose: str) -> bytes:
    """A key of `KEY_BYTES` for one purpose out of a tenant's, another one for each realm and each tenant."""
    info = f"radrelay {realm}\x1f{tenant}\x1f{purpose}".encode()
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(key)


class Seal:
    """Encrypts under a key of `KEY_BYTES`, so that a change shows."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, content: bytes, bound_to: bytes | None = None) -> bytes:
        """A random nonce of 12 bytes, then the encrypted content and its tag; opens for the same `bound_to` only."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, bound_to)

    def open(self, sealed: bytes, bound_to: bytes | None = None) -> bytes:
        """The content.

        Raises:
            BadSeal: it cannot be had.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError) as error:  # ValueError: cut too short to hold a nonce
            raise BadSeal from error
