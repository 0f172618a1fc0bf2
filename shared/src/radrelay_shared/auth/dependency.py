"""The caller, as a FastAPI dependency."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from radrelay_shared.auth.principal import Principal
from radrelay_shared.auth.tokens import TokenVerifier
from radrelay_shared.http.problems import Unauthorized
from radrelay_shared.http.rate_limits import RateLimiter

_bearer = HTTPBearer(auto_error=False, description="An OIDC access token.")


async def current_principal(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    """The verified caller, within its rate limits; the lifespan's state carries `verifier` and `rate_limiter`.

    The request's state carries it from then on as `principal`.

    Raises:
        Unauthorized: no token, or one that proves nobody.
        TooManyRequests: this client address, user or tenant has to wait.
    """
    limiter: RateLimiter = request.state.rate_limiter
    await limiter.check_address(request)
    try:
        principal = await _verified(request, credentials)
    except Unauthorized:
        await limiter.count_failure(request)
        raise
    request.state.principal = principal
    await limiter.admit(request, principal.tenant, principal.owner_id)
    return principal


async def _verified(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Principal:
    if credentials is None:
        raise Unauthorized(detail="A bearer token is needed.")
    verifier: TokenVerifier = request.state.verifier
    return await verifier.verify(credentials.credentials)


CurrentPrincipal = Annotated[Principal, Depends(current_principal)]
