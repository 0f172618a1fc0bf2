"""What only a tenant's administrators do."""

from radrelay_shared.auth import Principal
from radrelay_shared.http import Forbidden


def check_administrator(principal: Principal, refusal: str) -> None:
    """Go on only with an administrator.

    Raises:
        Forbidden: the caller is none; the refusal says what is an administrator's alone.
    """
    if not principal.is_tenant_admin:
        raise Forbidden(code="not_tenant_admin", detail=refusal)
