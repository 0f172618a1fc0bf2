"""What the issuer's routes work with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from radrelay_local.issuer.grants import Grants
from radrelay_local.issuer.keys import SigningKey
from radrelay_local.issuer.settings import IssuerSettings
from radrelay_local.issuer.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Issuer:
    """The issuer: its settings, its key, what it signs and what it remembers."""

    settings: IssuerSettings
    key: SigningKey
    tokens: Tokens
    grants: Grants
    now: Callable[[], float]
    """Seconds since the epoch."""

    @classmethod
    def of(cls, settings: IssuerSettings, now: Callable[[], float]) -> "Issuer":
        """The issuer of these settings, with nobody signed in."""
        key = SigningKey.of(settings.key_file)
        return cls(settings, key, Tokens(settings, key), Grants(now), now)


def _issuer_of(request: Request) -> Issuer:
    issuer: Issuer = request.app.state.issuer
    return issuer


CurrentIssuer = Annotated[Issuer, Depends(_issuer_of)]
