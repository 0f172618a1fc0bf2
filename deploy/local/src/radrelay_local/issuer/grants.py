"""Who is signed in, and what clients hold of it: kept in memory, so a restart of the issuer forgets all of it."""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from radrelay_local.issuer.authorization import AuthorizationRequest
from radrelay_local.issuer.refusals import TokenRefused
from radrelay_local.issuer.tokens import Subject

SESSION_LIFETIME_S: Final = 8 * 3600
CODE_LIFETIME_S: Final = 60

_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in with one browser."""

    session_id: str
    """What the browser's cookie carries; nobody can guess it."""
    subject: Subject
    signed_in_at_s: float


@dataclass(slots=True)
class _Family:
    """All refresh tokens that come from one code, one after the other. The last one is good, until it is None."""

    session: Session
    client_id: str
    refresh_token: str | None = None


@dataclass(slots=True)
class _Code:
    family: _Family
    request: AuthorizationRequest
    expires_at_s: float
    spent: bool = False


@dataclass(frozen=True, slots=True)
class Granted:
    """What a code or a refresh token was exchanged for."""

    session: Session
    refresh_token: str
    nonce: str | None


class Grants:
    """Sessions of browsers, codes, and refresh tokens, which live no longer than the session that they come from.

    Args:
        now: seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._sessions: dict[str, Session] = {}
        self._codes: dict[str, _Code] = {}
        self._families: dict[str, _Family] = {}

    def sign_in(self, subject: Subject) -> Session:
        """A new session."""
        self._tidy()
        session = Session(secrets.token_urlsafe(32), subject, self._now())
        self._sessions[session.session_id] = session
        return session

    def session(self, session_id: str | None) -> Session | None:
        """The session that a browser's cookie names, None where it is over or never was."""
        session = self._sessions.get(session_id or "")
        return session if session and self._lasts(session) else None

    def sign_out(self, session_id: str | None) -> None:
        """End a session, and with it all that clients hold of it."""
        self._sessions.pop(session_id or "", None)
        self._tidy()

    def issue_code(self, session: Session, request: AuthorizationRequest) -> str:
        """A code for the client, good once and for a minute (RFC 6749, section 4.1.2)."""
        code = secrets.token_urlsafe(32)
        family = _Family(session, request.client_id)
        self._codes[code] = _Code(family, request, self._now() + CODE_LIFETIME_S)
        return code

    def redeem(self, code: str, *, client_id: str, redirect_uri: str, verifier: str) -> Granted:
        """Exchange a code (RFC 6749, section 4.1.3; RFC 7636, section 4.6). The first try spends it, right or wrong.

        Raises:
            TokenRefused: it is not good. At its second use, all refresh tokens that come from it are revoked.
        """
        found = self._codes.get(code)
        if found is None or not self._lasts(found.family.session):
            raise TokenRefused("invalid_grant", "the code is unknown, or its session is over")
        if found.spent:
            found.family.refresh_token = None
            raise TokenRefused("invalid_grant", "the code was used before")
        found.spent = True
        if self._now() >= found.expires_at_s:
            raise TokenRefused("invalid_grant", "the code has expired")
        if (client_id, redirect_uri) != (found.request.client_id, found.request.redirect_uri):
            raise TokenRefused("invalid_grant", "the code is another client's, or was sent to another address")
        if not _proves(verifier, found.request.challenge):
            raise TokenRefused("invalid_grant", "the verifier is not the one of the challenge")
        return self._next(found.family, found.request.nonce)

    def refresh(self, token: str, *, client_id: str) -> Granted:
        """Exchange a refresh token for the next one (RFC 9700, section 4.14.2).

        Raises:
            TokenRefused: it is not good. Where it was used before, somebody else has it too: the next one is revoked.
        """
        family = self._families.get(token)
        if family is None or family.client_id != client_id or not self._lasts(family.session):
            raise TokenRefused("invalid_grant", "the refresh token is unknown, another client's, or its session over")
        if family.refresh_token != token:
            family.refresh_token = None
            raise TokenRefused("invalid_grant", "the refresh token was used before, or is revoked")
        return self._next(family, nonce=None)

    def revoke(self, token: str, *, client_id: str) -> None:
        """Revoke a client's refresh token and all that come from the same code (RFC 7009, section 2.1)."""
        family = self._families.get(token)
        if family and family.client_id == client_id:
            family.refresh_token = None

    def _next(self, family: _Family, nonce: str | None) -> Granted:
        token = secrets.token_urlsafe(32)
        family.refresh_token = token
        self._families[token] = family
        return Granted(family.session, token, nonce)

    def _lasts(self, session: Session) -> bool:
        over_at_s = session.signed_in_at_s + SESSION_LIFETIME_S
        return session.session_id in self._sessions and self._now() < over_at_s

    def _tidy(self) -> None:
        """Forget sessions that are over, and what came from them. Spent codes and tokens are known until then."""
        self._sessions = {key: each for key, each in self._sessions.items() if self._lasts(each)}
        self._codes = {key: each for key, each in self._codes.items() if self._lasts(each.family.session)}
        self._families = {key: each for key, each in self._families.items() if self._lasts(each.session)}


def _proves(verifier: str, challenge: str) -> bool:
    """Whether a verifier is that of a challenge (RFC 7636, section 4.6), told in the same time for any wrong one."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = hashlib.sha256(verifier.encode()).digest()
    return secrets.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), challenge)
