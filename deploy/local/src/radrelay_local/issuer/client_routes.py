"""What a client asks by itself, in forms: tokens, and to revoke them."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from radrelay_local.issuer.authorization import SCOPE
from radrelay_local.issuer.container import CurrentIssuer
from radrelay_local.issuer.exchange import exchange, revoke
from radrelay_local.issuer.forms import FormRoute, Parameters

NOT_STORED = {"Cache-Control": "no-store"}

router = APIRouter(include_in_schema=False)


async def exchange_grant(http: Request, issuer: CurrentIssuer) -> Response:
    """Tokens for a code or a refresh token (RFC 6749, section 5.1; OpenID Connect Core 1.0, sections 3.1.3, 12)."""
    settings = issuer.settings
    granted = exchange(Parameters.of(await http.body()), issuer.grants, settings.client_id)
    subject, now_s = granted.session.subject, int(issuer.now())
    lifetime_s = settings.browser_token_lifetime_s
    answer: dict[str, Any] = {
        "access_token": issuer.tokens.access_token(subject, now_s=now_s, lifetime_s=lifetime_s),
        "token_type": "Bearer",
        "expires_in": lifetime_s,
        "refresh_token": granted.refresh_token,
        "id_token": issuer.tokens.id_token(
            subject, now_s=now_s, signed_in_at_s=int(granted.session.signed_in_at_s), nonce=granted.nonce
        ),
        "scope": SCOPE,
    }
    return JSONResponse(answer, headers=NOT_STORED)


# The same path takes JSON too, by another route.
router.add_api_route("/token", exchange_grant, methods=["POST"], route_class_override=FormRoute)


@router.post("/revoke")
async def revoke_token(http: Request, issuer: CurrentIssuer) -> Response:
    """Revoke a refresh token (RFC 7009, section 2). An access token stays valid to its end, which is near."""
    revoke(Parameters.of(await http.body()), issuer.grants, issuer.settings.client_id)
    return Response(headers=NOT_STORED)
