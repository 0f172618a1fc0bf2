"""Bearer tokens of a development issuer, which asks for no password."""

from collections.abc import Iterable
from typing import Final

import httpx

from radrelay_local.errors import StackError

_TIMEOUT_S: Final = 10.0


def development_token(origin: str, tenant: str, user: str, roles: Iterable[str]) -> str:
    """A token from the issuer that is behind the same origin as everything else.

    Raises:
        StackError: the issuer is away, or refuses.
    """
    request = {"tenant": tenant, "user": user, "roles": list(roles)}
    try:
        response = httpx.post(f"{origin}/auth/token", json=request, timeout=_TIMEOUT_S, trust_env=False)
    except httpx.HTTPError as error:
        raise StackError(f"the token issuer cannot be reached: {error}; is the stack up?") from error
    if response.status_code != httpx.codes.OK:
        raise StackError(f"the token issuer refused with {response.status_code}: {response.text}")
    return str(response.json()["access_token"])
