"""A token issuer for tests: an RSA key that may be replaced, its JWKS served on loopback."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from radrelay_shared.auth import AuthSettings


class TestIssuer:
    """Signs bearer tokens that a service configured with `settings` accepts."""

    __test__ = False  # the name is what it is; there is nothing in it for pytest to collect

    def __init__(self, address: str) -> None:
        self.settings = AuthSettings(issuer=address, audience="radrelay", jwks_url=f"{address}/jwks.json")
        self.fetches = 0
        """How often the keys were asked for."""
        self.rotate("test-key")

    def rotate(self, key_id: str) -> None:
        """Sign with a new key from now on, and publish only that one."""
        self.key_id = key_id
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def published(self) -> bytes:
        """The JWKS (RFC 7517)."""
        jwk = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return json.dumps({"keys": [jwk | {"kid": self.key_id, "alg": "RS256", "use": "sig"}]}).encode()

    def token(self, tenant: str, user: str, /, roles: tuple[str, ...] = ("clinician",), **claims: Any) -> str:
        """A token valid for an hour; `claims` replace or add to the usual ones."""
        now = datetime.now(UTC)
        usual = {
            "iss": self.settings.issuer,
            "aud": self.settings.audience,
            "iat": now,
            "exp": now + timedelta(hours=1),
            "sub": user,
            "tenant": tenant,
            "roles": list(roles),
        }
        return jwt.encode(usual | claims, self.key, algorithm="RS256", headers={"kid": self.key_id})

    def bearer(
        self, tenant: str, user: str, /, roles: tuple[str, ...] = ("clinician",), **claims: Any
    ) -> dict[str, str]:
        """Request headers that carry such a token."""
        return {"Authorization": f"Bearer {self.token(tenant, user, roles, **claims)}"}


@contextmanager
def run_issuer() -> Iterator[TestIssuer]:
    """Serve the JWKS on a free loopback port while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.fetches += 1
            document = issuer.published()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
            """Keep the test output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = TestIssuer(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
