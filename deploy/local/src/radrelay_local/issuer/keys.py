"""The issuer's signing key (RFC 7517, RS256 of RFC 7518)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from radrelay_local.files import write_atomically

ALGORITHM = "RS256"
_KEY_BITS = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA key and the name that tokens and the key set know it by."""

    private: RSAPrivateKey
    key_id: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """The key kept at `path`, made at the first call."""
        if not path.exists():
            fresh = generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
            pem = fresh.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            write_atomically(path, pem.decode())
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(private, RSAPrivateKey):
            raise TypeError(f"{path} holds no RSA key")
        return cls(private, _fingerprint(private))

    def sign(self, claims: dict[str, Any]) -> str:
        """A signed token with these claims."""
        return jwt.encode(claims, self.private, algorithm=ALGORITHM, headers={"kid": self.key_id})

    def verify(self, token: str, *, issuer: str, audience: str) -> None:
        """Check that this key signed a token with that `iss` and `aud`, whenever that was.

        Raises:
            jwt.PyJWTError: it did not.
        """
        jwt.decode(
            token,
            self.private.public_key(),
            algorithms=[ALGORITHM],
            issuer=issuer,
            audience=audience,
            options={"verify_iat": False, "verify_exp": False, "require": ["iss", "aud", "sub"]},
        )

    def key_set(self) -> dict[str, Any]:
        """The public half, as a JSON Web Key Set."""
        public = json.loads(RSAAlgorithm.to_jwk(self.private.public_key()))
        return {"keys": [{**public, "kid": self.key_id, "use": "sig", "alg": ALGORITHM, "key_ops": ["verify"]}]}


def _fingerprint(private: RSAPrivateKey) -> str:
    der = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    return digest.finalize().hex()[:16]
