"""The caller, as a FastAPI dependency."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from radrelay_shared.auth.principal import Principal
from radrelay_shared.auth.tokens import TokenVerifier
from radrelay_shared.http.problems import Unauthorized

_bearer = HTTPBearer(auto_error=False, description="An OIDC access token.")


async def current_principal(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    """The verified caller; the lifespan's state carries the `verifier`.

    Raises:
        Unauthorized: no token, or one that proves nobody.
    """
    if credentials is None:
        raise Unauthorized(detail="A bearer token is needed.")
    verifier: TokenVerifier = request.state.verifier
    return await verifier.verify(credentials.credentials)


CurrentPrincipal = Annotated[Principal, Depends(current_principal)]
