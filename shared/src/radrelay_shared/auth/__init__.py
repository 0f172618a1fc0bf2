"""Bearer-token verification and the caller it proves."""

from radrelay_shared.auth.dependency import CurrentPrincipal, current_principal
from radrelay_shared.auth.principal import Principal, Role
from radrelay_shared.auth.tokens import AuthSettings, TokenVerifier, Unentitled

__all__ = ["AuthSettings", "CurrentPrincipal", "Principal", "Role", "TokenVerifier", "Unentitled", "current_principal"]
