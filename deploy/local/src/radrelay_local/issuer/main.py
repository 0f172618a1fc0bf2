"""The development token issuer: a token for whoever asks, and a small OpenID Provider for browsers.

It checks no password. It exists so that the embedded stack has real signed tokens, and its frontend a real way to get
them. Production has a real identity provider.
"""

import logging
import time
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware

from radrelay_local.issuer import browser_routes, client_routes
from radrelay_local.issuer.authorization import CHALLENGE_METHOD, PROMPTS, RESPONSE_MODE, RESPONSE_TYPE, SCOPE
from radrelay_local.issuer.container import CurrentIssuer, Issuer
from radrelay_local.issuer.exchange import GRANT_TYPES
from radrelay_local.issuer.keys import ALGORITHM
from radrelay_local.issuer.pages import message_page
from radrelay_local.issuer.refusals import AuthorizationRefused, TokenRefused, UnanswerableRequest
from radrelay_local.issuer.settings import IssuerSettings
from radrelay_local.issuer.tokens import Subject

_WARNING = (
    "DEVELOPMENT ONLY: this issuer gives a token for any user of any tenant to whoever asks."
    " Never use it in production."
)
_LIFETIME_S = 8 * 3600
_CLAIMS = ("iss", "aud", "exp", "iat", "sub", "tenant", "roles", "auth_time", "nonce")

_log = logging.getLogger("uvicorn.error")

router = APIRouter()


class TokenRequest(Subject):
    """Who the token shall be for."""

    lifetime_s: Annotated[int, Field(ge=1, le=86_400)] = _LIFETIME_S


class TokenResponse(BaseModel):
    """A token in the form of RFC 6749, section 5.1."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105  # the name of a scheme
    expires_in: int
    warning: str = _WARNING


@router.get("/.well-known/openid-configuration")
async def discovery(issuer: CurrentIssuer) -> dict[str, Any]:
    """OpenID Connect Discovery 1.0, section 3."""
    identifier = issuer.settings.identifier
    return {
        "issuer": identifier,
        "authorization_endpoint": f"{identifier}/authorize",
        "token_endpoint": f"{identifier}/token",
        "revocation_endpoint": f"{identifier}/revoke",
        "end_session_endpoint": f"{identifier}/end-session",
        "jwks_uri": f"{identifier}/jwks",
        "response_types_supported": [RESPONSE_TYPE],
        "response_modes_supported": [RESPONSE_MODE],
        "grant_types_supported": list(GRANT_TYPES),
        "code_challenge_methods_supported": [CHALLENGE_METHOD],
        "prompt_values_supported": list(PROMPTS),
        "scopes_supported": [SCOPE],
        "claims_supported": list(_CLAIMS),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": True,
        "request_uri_parameter_supported": False,
        "warning": _WARNING,
    }


@router.get("/jwks")
async def key_set(issuer: CurrentIssuer) -> dict[str, Any]:
    """The public keys that verify the tokens (RFC 7517)."""
    return issuer.key.key_set()


@router.post("/token")
async def issue(request: TokenRequest, issuer: CurrentIssuer) -> TokenResponse:
    """A token for this user of this tenant; no password is asked for."""
    token = issuer.tokens.access_token(request, now_s=int(issuer.now()), lifetime_s=request.lifetime_s)
    return TokenResponse(access_token=token, expires_in=request.lifetime_s)


def create_app(settings: IssuerSettings | None = None, now: Callable[[], float] = time.time) -> FastAPI:
    """The issuer. Without settings they are read from the environment; `now` is seconds since the epoch."""
    app = FastAPI(title="Radrelay development token issuer", description=_WARNING, version="1")
    app.state.issuer = issuer = Issuer.of(settings or IssuerSettings(), now)
    _log.warning(_WARNING)
    # A page in the user's browser must not reach it through a name that points to loopback.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=issuer.settings.allowed_hosts)
    # Forms come first: what is no form goes on to the route of the same path that takes JSON.
    app.include_router(client_routes.router)
    app.include_router(browser_routes.router)
    app.include_router(router)
    app.exception_handler(UnanswerableRequest)(_say)
    app.exception_handler(AuthorizationRefused)(_send_back)
    app.exception_handler(TokenRefused)(_refuse_token)
    return app


async def _say(_: Request, refusal: UnanswerableRequest) -> Response:
    return message_page(refusal.status, "This cannot be done", refusal.detail)


async def _send_back(http: Request, refusal: AuthorizationRefused) -> Response:
    issuer: Issuer = http.app.state.issuer
    return browser_routes.sent_on(
        refusal.redirect_uri,
        error=refusal.error,
        error_description=refusal.detail,
        state=refusal.state,
        iss=issuer.settings.identifier,
    )


async def _refuse_token(_: Request, refusal: TokenRefused) -> Response:
    answer = {"error": refusal.error, "error_description": refusal.detail}
    return JSONResponse(answer, 400, client_routes.NOT_STORED)
