"""What the issuer signs: access tokens for the services, ID tokens for the client."""

from typing import Annotated, Any

import jwt
from pydantic import BaseModel, ConfigDict, Field

from radrelay_local.issuer.keys import SigningKey
from radrelay_local.issuer.settings import IssuerSettings
from radrelay_shared.auth import Role
from radrelay_shared.events import TENANT_PATTERN


class Subject(BaseModel):
    """Who a token is for. Nobody proves it: this issuer takes everybody's word."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: Annotated[str, Field(pattern=TENANT_PATTERN)]
    user: Annotated[str, Field(min_length=1, max_length=255)]
    roles: Annotated[list[Role], Field(min_length=1)]

    def claims(self) -> dict[str, Any]:
        """What services read of a person in a token."""
        return {"sub": self.user, "tenant": self.tenant, "roles": sorted(set(self.roles))}


class Tokens:
    """Signs tokens, and knows its own again. Times are seconds since the epoch (RFC 7519, section 2)."""

    def __init__(self, settings: IssuerSettings, key: SigningKey) -> None:
        self._settings = settings
        self._key = key

    def access_token(self, subject: Subject, *, now_s: int, lifetime_s: int) -> str:
        """A bearer token that every service takes."""
        claims = {"iss": self._settings.identifier, "aud": self._settings.audience, **subject.claims()}
        return self._key.sign({**claims, "iat": now_s, "exp": now_s + lifetime_s})

    def id_token(self, subject: Subject, *, now_s: int, signed_in_at_s: int, nonce: str | None) -> str:
        """What the client learns of who signed in, and when (OpenID Connect Core 1.0, section 2)."""
        claims = {
            "iss": self._settings.identifier,
            "aud": self._settings.client_id,
            **subject.claims(),
            "iat": now_s,
            "exp": now_s + self._settings.browser_token_lifetime_s,
            "auth_time": signed_in_at_s,
        }
        return self._key.sign(claims if nonce is None else {**claims, "nonce": nonce})

    def is_own_id_token(self, token: str) -> bool:
        """Whether the issuer made this ID token for its client, however long ago."""
        try:
            self._key.verify(token, issuer=self._settings.identifier, audience=self._settings.client_id)
        except jwt.PyJWTError:
            return False
        return True
