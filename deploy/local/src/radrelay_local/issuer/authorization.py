"""Authorization requests: what a client asks the issuer for by way of somebody's browser, and how it is answered.

The code flow of OpenID Connect Core 1.0, section 3.1, with PKCE (RFC 7636), as strict as RFC 9700 asks.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from radrelay_local.issuer.forms import Parameters
from radrelay_local.issuer.refusals import AuthorizationRefused, UnanswerableRequest
from radrelay_local.issuer.settings import IssuerSettings

SCOPE: Final = "openid"
"""The one scope there is; others that are asked for are not granted (RFC 6749, section 3.3)."""
RESPONSE_TYPE: Final = "code"
RESPONSE_MODE: Final = "query"
CHALLENGE_METHOD: Final = "S256"
PROMPTS: Final = ("none", "login", "consent", "select_account")

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_NOT_SUPPORTED: Final = {"request": "request_not_supported", "request_uri": "request_uri_not_supported"}


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request for a code that may be granted as soon as it is known who asks.

    Attributes:
        client_id: the client.
        redirect_uri: where the code goes.
        challenge: SHA-256 of the client's code verifier, in base64url.
        state: what the client wants back with the answer.
        nonce: what the client wants to read in the ID token.
        prompt: what the person shall be shown, none of it where it is empty.
        max_age_s: how long ago the person may have signed in.
    """

    client_id: str
    redirect_uri: str
    challenge: str
    state: str | None
    nonce: str | None
    prompt: frozenset[str]
    max_age_s: int | None

    def is_met_by(self, signed_in_at_s: float, now_s: float) -> bool:
        """Whether somebody who signed in then need not do so again."""
        recent = self.max_age_s is None or now_s - signed_in_at_s <= self.max_age_s
        return recent and self.prompt <= {"none"}

    def fields(self) -> dict[str, str]:
        """The request as a form, for whoever answers the prompt: that is done with then, and so is the age."""
        fields = {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": RESPONSE_TYPE,
            "scope": SCOPE,
            "code_challenge": self.challenge,
            "code_challenge_method": CHALLENGE_METHOD,
            "state": self.state,
            "nonce": self.nonce,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def refused(self, error: str, detail: str) -> AuthorizationRefused:
        """The refusal of this request, to raise."""
        return AuthorizationRefused(error, detail, redirect_uri=self.redirect_uri, state=self.state)


def authorization_request(parameters: Parameters, settings: IssuerSettings) -> AuthorizationRequest:
    """The request that a browser brings.

    Raises:
        UnanswerableRequest: of no known client, or for an address that is not that client's.
        AuthorizationRefused: of a known client, and wrong.
    """
    given = parameters.given
    client_id, redirect_uri = given.get("client_id"), given.get("redirect_uri")
    if client_id != settings.client_id:
        raise UnanswerableRequest(400, f"client_id must be {settings.client_id}, once.")
    if redirect_uri not in settings.redirect_uris:
        known = ", ".join(settings.redirect_uris) or "none"
        raise UnanswerableRequest(400, f"redirect_uri must be one of the client's own, once. They are: {known}.")
    fault = _fault(parameters)
    if fault:
        raise AuthorizationRefused(*fault, redirect_uri=redirect_uri, state=given.get("state"))
    return AuthorizationRequest(
        client_id=client_id,
        redirect_uri=redirect_uri,
        challenge=given["code_challenge"],
        state=given.get("state"),
        nonce=given.get("nonce"),
        prompt=frozenset(given.get("prompt", "").split()),
        max_age_s=int(given["max_age"]) if "max_age" in given else None,
    )


def _fault(parameters: Parameters) -> tuple[str, str] | None:
    """What is wrong with a known client's request: a code of the standards, and a sentence."""
    given = parameters.given
    if parameters.repeated:
        return "invalid_request", "a parameter is given more than once"
    for name, error in _NOT_SUPPORTED.items():
        if name in given:
            return error, f"{name} is not taken here"
    if SCOPE not in given.get("scope", "").split():
        return "invalid_scope", f"scope must contain {SCOPE}"
    return _response_fault(given) or _challenge_fault(given) or _prompt_fault(given)


def _response_fault(given: Mapping[str, str]) -> tuple[str, str] | None:
    if "response_type" not in given:
        return "invalid_request", "response_type is missing"
    if given["response_type"] != RESPONSE_TYPE:
        return "unsupported_response_type", f"response_type must be {RESPONSE_TYPE}"
    if given.get("response_mode", RESPONSE_MODE) != RESPONSE_MODE:
        return "invalid_request", f"response_mode must be {RESPONSE_MODE}"
    return None


def _challenge_fault(given: Mapping[str, str]) -> tuple[str, str] | None:
    # Where the method is not given it would be plain (RFC 7636, section 4.3).
    if given.get("code_challenge_method") != CHALLENGE_METHOD:
        return "invalid_request", f"code_challenge_method must be {CHALLENGE_METHOD}"
    if not _CHALLENGE.fullmatch(given.get("code_challenge", "")):
        return "invalid_request", "code_challenge must be a SHA-256 digest in base64url"
    return None


def _prompt_fault(given: Mapping[str, str]) -> tuple[str, str] | None:
    prompt = given.get("prompt", "").split()
    if not set(prompt) <= set(PROMPTS) or ("none" in prompt and len(prompt) > 1):
        return "invalid_request", f"prompt must be none alone, or of {', '.join(PROMPTS[1:])}"
    if not re.fullmatch(r"[0-9]{1,9}", given.get("max_age", "0")):
        return "invalid_request", "max_age must be a number of seconds"
    return None


def address_with(address: str, **answer: str | None) -> str:
    """An address of the client with an answer in its query; what is None is left out."""
    encoded = urlencode({name: value for name, value in answer.items() if value is not None})
    if not encoded:
        return address
    parts = urlsplit(address)
    return parts._replace(query=f"{parts.query}&{encoded}" if parts.query else encoded).geturl()
