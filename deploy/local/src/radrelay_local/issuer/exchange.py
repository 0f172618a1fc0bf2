"""What a client asks the token endpoint for: tokens for a code or a refresh token (RFC 6749, sections 4.1.3, 6)."""

from collections.abc import Mapping

from radrelay_local.issuer.authorization import SCOPE
from radrelay_local.issuer.forms import Parameters
from radrelay_local.issuer.grants import Granted, Grants
from radrelay_local.issuer.refusals import TokenRefused

AUTHORIZATION_CODE = "authorization_code"
REFRESH_TOKEN = "refresh_token"  # noqa: S105  # the name of a grant type
GRANT_TYPES = (AUTHORIZATION_CODE, REFRESH_TOKEN)


def exchange(parameters: Parameters, grants: Grants, known_client_id: str) -> Granted:
    """Exchange the code or the refresh token of a request.

    Raises:
        TokenRefused: it is not good, or the request is not.
    """
    given = _of_client(parameters, known_client_id)
    grant_type = _required(given, "grant_type")
    if grant_type == AUTHORIZATION_CODE:
        return grants.redeem(
            _required(given, "code"),
            client_id=known_client_id,
            redirect_uri=_required(given, "redirect_uri"),
            verifier=_required(given, "code_verifier"),
        )
    if grant_type == REFRESH_TOKEN:
        if not set(given.get("scope", SCOPE).split()) <= {SCOPE}:
            raise TokenRefused("invalid_scope", f"{SCOPE} is all that was granted")
        return grants.refresh(_required(given, "refresh_token"), client_id=known_client_id)
    raise TokenRefused("unsupported_grant_type", f"grant_type must be one of {', '.join(GRANT_TYPES)}")


def revoke(parameters: Parameters, grants: Grants, known_client_id: str) -> None:
    """Revoke the refresh token of a request (RFC 7009). One that is unknown is as good as revoked.

    Raises:
        TokenRefused: the request is not good.
    """
    given = _of_client(parameters, known_client_id)
    grants.revoke(_required(given, "token"), client_id=known_client_id)


def _of_client(parameters: Parameters, known_client_id: str) -> Mapping[str, str]:
    """What the request says, which must be the known client's."""
    if parameters.repeated:
        raise TokenRefused("invalid_request", "a parameter is given more than once")
    if parameters.given.get("client_id") != known_client_id:
        raise TokenRefused("invalid_client", f"client_id must be {known_client_id}")
    return parameters.given


def _required(given: Mapping[str, str], name: str) -> str:
    if name not in given:
        raise TokenRefused("invalid_request", f"{name} is missing")
    return given[name]
