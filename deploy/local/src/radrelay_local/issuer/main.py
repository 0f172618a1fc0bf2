"""The development token issuer: OIDC discovery, a key set, and a token for whoever asks.

It checks no password. It exists so that the embedded stack has real signed tokens. Production has a real identity
provider.
"""

import logging
import time
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware

from radrelay_local.issuer.keys import ALGORITHM, SigningKey
from radrelay_local.issuer.settings import IssuerSettings
from radrelay_shared.auth import Role
from radrelay_shared.events import TENANT_PATTERN

_WARNING = (
    "DEVELOPMENT ONLY: this issuer gives a token for any user of any tenant to whoever asks."
    " Never use it in production."
)
_LIFETIME_S = 8 * 3600

_log = logging.getLogger("uvicorn.error")


class TokenRequest(BaseModel):
    """Who the token shall be for."""

    model_config = ConfigDict(extra="forbid")

    tenant: Annotated[str, Field(pattern=TENANT_PATTERN)]
    user: Annotated[str, Field(min_length=1, max_length=255)]
    roles: Annotated[list[Role], Field(min_length=1)]
    lifetime_s: Annotated[int, Field(ge=1, le=86_400)] = _LIFETIME_S


class TokenResponse(BaseModel):
    """A token in the form of RFC 6749, section 5.1."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105  # the name of a scheme
    expires_in: int
    warning: str = _WARNING


def create_app(settings: IssuerSettings | None = None) -> FastAPI:
    """The issuer. Without settings they are read from the environment."""
    settings = settings or IssuerSettings()
    key = SigningKey.of(settings.key_file)
    _log.warning(_WARNING)
    app = FastAPI(title="Radrelay development token issuer", description=_WARNING, version="1")
    # A page in the user's browser must not reach it through a name that points to loopback.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])

    @app.get("/.well-known/openid-configuration")
    async def discovery() -> dict[str, Any]:
        """OpenID Connect Discovery 1.0, section 3."""
        return {
            "issuer": settings.identifier,
            "jwks_uri": f"{settings.identifier}/jwks",
            "token_endpoint": f"{settings.identifier}/token",
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "claims_supported": ["iss", "aud", "exp", "iat", "sub", "tenant", "roles"],
            "warning": _WARNING,
        }

    @app.get("/jwks")
    async def key_set() -> dict[str, Any]:
        """The public keys that verify the tokens (RFC 7517)."""
        return key.key_set()

    @app.post("/token")
    async def issue(request: TokenRequest) -> TokenResponse:
        """A token for this user of this tenant; no password is asked for."""
        now = int(time.time())
        claims = {
            "iss": settings.identifier,
            "aud": settings.audience,
            "sub": request.user,
            "tenant": request.tenant,
            "roles": sorted(set(request.roles)),
            "iat": now,
            "exp": now + request.lifetime_s,
        }
        return TokenResponse(access_token=key.sign(claims), expires_in=request.lifetime_s)

    return app
