"""Bearer tokens verified by the issuer's published keys (RFC 7517, RFC 7519, RFC 8725)."""

import asyncio
import logging
import re
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

import httpx
import jwt
from pydantic import BaseModel

from radrelay_shared.auth.principal import Principal, Role
from radrelay_shared.events import TENANT_PATTERN
from radrelay_shared.http.problems import ServiceUnavailable, Unauthorized

ALGORITHMS: Final = ("RS256", "ES256")
_TENANT = re.compile(TENANT_PATTERN)
_OWNER_MAX: Final = 255

_log = logging.getLogger(__name__)


class AuthSettings(BaseModel):
    """The issuer that is trusted."""

    issuer: str
    audience: str = "radrelay"
    jwks_url: str
    tenant_claim: str = "tenant"
    leeway_s: float = 10.0
    keys_max_age_s: float = 600.0
    refetch_cooldown_s: float = 30.0


class Unentitled(Unauthorized):
    """A token that the issuer signed for this service, of a known tenant, that proves no caller nevertheless.

    `subject` is its `sub`, None where that is none; `reason` is a stable code.
    """

    def __init__(self, *, tenant: str, subject: str | None, reason: str, detail: str) -> None:
        super().__init__(detail=detail)
        self.tenant = tenant
        self.subject = subject
        self.reason = reason


class _Keys:
    """The issuer's keys.

    Fetched when they are old and when a token names one that is not there, but not more than once a cooldown.
    """

    def __init__(self, settings: AuthSettings, client: httpx.AsyncClient) -> None:
        self._settings = settings
        self._client = client
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def get(self, key_id: str) -> jwt.PyJWK | None:
        if key_id not in self._keys or monotonic() - self._fetched_at > self._settings.keys_max_age_s:
            async with self._lock:
                await self._refresh(key_id)
        return self._keys.get(key_id)

    async def _refresh(self, key_id: str) -> None:
        fresh = key_id in self._keys and monotonic() - self._fetched_at <= self._settings.keys_max_age_s
        if fresh or monotonic() - self._tried_at < self._settings.refetch_cooldown_s:
            return
        self._tried_at = monotonic()
        try:
            response = await self._client.get(self._settings.jwks_url)
            response.raise_for_status()
            found = jwt.PyJWKSet.from_dict(response.json()).keys
        except asyncio.CancelledError:
            # The caller went away, which says nothing of the issuer: the next caller may try at once.
            self._tried_at = float("-inf")
            raise
        except (httpx.HTTPError, ValueError, jwt.PyJWTError) as error:
            _log.warning("signing keys cannot be fetched", extra={"error": type(error).__name__})
            if not self._keys:
                self._tried_at = float("-inf")
                raise ServiceUnavailable(
                    code="signing_keys_unavailable", detail="The token issuer's keys cannot be fetched."
                ) from error
            return
        self._keys = {key.key_id: key for key in found if key.key_id}
        self._fetched_at = monotonic()


class TokenVerifier:
    """Verifies bearer tokens. Use as an async context manager; closing it closes its HTTP client."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._client = httpx.AsyncClient(timeout=5.0)
        self._keys = _Keys(settings, self._client)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def verify(self, token: str) -> Principal:
        """Check signature, algorithm, issuer, audience and times, and return who it is.

        Raises:
            Unauthorized: the token does not prove a caller; the detail says which check failed.
            ServiceUnavailable: no key was ever fetched and the issuer is away.
        """
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                raise Unauthorized(detail="The token's algorithm is not accepted.")
            key = await self._keys.get(str(header.get("kid", "")))
            if key is None:
                raise Unauthorized(detail="The token's key is unknown.")
            claims = jwt.decode(
                token,
                key,
                algorithms=[header["alg"]],
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                leeway=self._settings.leeway_s,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthorized(detail=f"The token is not valid: {_reason(error)}.") from error
        return self._principal(claims)

    def _principal(self, claims: dict[str, Any]) -> Principal:
        tenant = claims.get(self._settings.tenant_claim)
        if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
            raise Unauthorized(detail="The token names no valid tenant.")
        owner = claims["sub"]
        if not isinstance(owner, str) or not 0 < len(owner) <= _OWNER_MAX or not owner.isprintable():
            detail = "The token names no valid subject."
            raise Unentitled(tenant=tenant, subject=None, reason="no_valid_subject", detail=detail)
        claimed = claims.get("roles")
        known = {role.value for role in Role}
        roles = frozenset(Role(r) for r in claimed if r in known) if isinstance(claimed, list) else frozenset()
        if not roles:
            detail = "The token carries no known role."
            raise Unentitled(tenant=tenant, subject=owner, reason="no_known_role", detail=detail)
        return Principal(tenant, owner, roles)


def _reason(error: jwt.PyJWTError) -> str:
    reasons = {
        jwt.ExpiredSignatureError: "it has expired",
        jwt.InvalidIssuerError: "another issuer",
        jwt.InvalidAudienceError: "another audience",
        jwt.InvalidSignatureError: "the signature is wrong",
        jwt.MissingRequiredClaimError: "a required claim is missing",
    }
    return reasons.get(type(error), "it cannot be read")
