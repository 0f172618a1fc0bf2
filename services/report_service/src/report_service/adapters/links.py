"""Links signed with a key of the service: JSON Web Tokens (RFC 7519) with an HMAC (HS256)."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final, get_args
from uuid import UUID

import jwt
from pydantic import SecretStr

from radrelay_imaging import ColourMap
from radrelay_shared.database import Scope
from radrelay_shared.database.session import ScopeRole
from report_service.domain.pictures import PictureKind, PictureRequest
from report_service.links import BadLink, LinkGrant

_ALGORITHM: Final = "HS256"
_AUDIENCE: Final = "radrelay-report-pictures"


class LinkSigner:
    """Signs grants and reads them back."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        """The first key signs; all are accepted."""
        secrets = [key.get_secret_value().encode() for key in keys]
        self._keys = {hashlib.sha256(secret).hexdigest()[:16]: secret for secret in secrets}

    @property
    def can_sign(self) -> bool:
        """Whether there is a key."""
        return bool(self._keys)

    def sign(self, grant: LinkGrant) -> str:
        """The grant as text for an address, signed with the first key.

        Raises:
            StopIteration: there is no key; ask `can_sign` first.
        """
        key_id, secret = next(iter(self._keys.items()))
        claims = {
            "aud": _AUDIENCE,
            "exp": grant.expires_at,
            "tenant": grant.scope.tenant,
            "sub": grant.scope.owner_id,
            "role": grant.scope.role,
            "report": str(grant.report_id),
            "picture": asdict(grant.picture),
        }
        return jwt.encode(claims, secret, algorithm=_ALGORITHM, headers={"kid": key_id})

    def read(self, signed: str) -> LinkGrant:
        """What was signed.

        Raises:
            BadLink: it was signed by nobody, by a key that is not ours any more, or its time is over.
        """
        try:
            secret = self._keys.get(str(jwt.get_unverified_header(signed).get("kid")))
            if secret is None:
                raise BadLink("its key is not known")
            claims = jwt.decode(
                signed, secret, algorithms=[_ALGORITHM], audience=_AUDIENCE, options={"require": ["exp", "aud", "sub"]}
            )
        except jwt.PyJWTError as error:
            raise BadLink(type(error).__name__) from error
        return _grant(claims)


def _grant(claims: dict[str, Any]) -> LinkGrant:
    """The claims, which are as we wrote them."""
    picture = claims["picture"]
    kinds = {"kind": PictureKind(picture["kind"]), "colour_map": ColourMap(picture["colour_map"])}
    role: ScopeRole = next(role for role in get_args(ScopeRole) if role == claims["role"])
    return LinkGrant(
        Scope(claims["tenant"], claims["sub"], role),
        UUID(claims["report"]),
        PictureRequest(**{**picture, **kinds}),
        datetime.fromtimestamp(claims["exp"], UTC),
    )
