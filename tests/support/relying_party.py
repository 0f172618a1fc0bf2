"""A client of an OpenID Provider as a browser runs one: the code flow with PKCE, through the provider's own pages."""

import base64
import hashlib
import secrets
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import jwt

CLIENT_ID = "clinician-frontend"
ORIGIN = "http://127.0.0.1:8080"
"""Where client and provider are when they have no port of their own."""


class RelyingParty:
    """The client and the browser that it runs in.

    `browser` has the provider's identifier as its base address; `origin` is where client and provider both are.
    """

    def __init__(self, browser: httpx.AsyncClient, origin: str = ORIGIN) -> None:
        self.browser = browser
        self.origin = origin
        self.redirect_uri = f"{origin}/signed-in"
        self.state = secrets.token_urlsafe(16)
        self.nonce = secrets.token_urlsafe(16)
        self.verifier = secrets.token_urlsafe(48)

    def request(self, **changes: str | None) -> dict[str, str]:
        """An authorization request; `changes` replace or add parameters, None takes one away."""
        usual = {
            "client_id": CLIENT_ID,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": "openid",
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            "state": self.state,
            "nonce": self.nonce,
        }
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    async def ask(self, **changes: str | None) -> httpx.Response:
        """Send the browser to the provider."""
        return await self.browser.get("/authorize", params=self.request(**changes))

    async def submit(self, form: dict[str, str], origin: str | None = None) -> httpx.Response:
        """Send a form of the sign-in page, as the browser does."""
        return await self.browser.post("/authorize", data=form, headers={"Origin": origin or self.origin})

    async def sign_in(self, user: str = "dr-ada", **changes: str | None) -> httpx.Response:
        """Ask, and press the button of a user of the demo."""
        page = await self.ask(**changes)
        return await self.submit(next(form for form in forms_of(page.text) if form.get("user") == user))

    async def redeem(self, code: str, **changes: str | None) -> httpx.Response:
        """Ask for the tokens of a code."""
        usual = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect_uri}
        return await self.post("/token", {**usual, "code_verifier": self.verifier, **changes})

    async def refresh(self, token: str, **changes: str | None) -> httpx.Response:
        """Ask for new tokens."""
        return await self.post("/token", {"grant_type": "refresh_token", "refresh_token": token, **changes})

    async def claims_in(self, token: str, audience: str = CLIENT_ID) -> dict[str, Any]:
        """The claims of a token that a published key of the provider signed for this audience, whenever that was."""
        keys = jwt.PyJWKSet.from_dict((await self.browser.get("/jwks")).json())
        claims: dict[str, Any] = jwt.decode(
            token,
            keys[jwt.get_unverified_header(token)["kid"]],
            algorithms=["RS256"],
            audience=audience,
            issuer=f"{self.origin}/auth",
            options={"verify_iat": False, "verify_exp": False},
        )
        return claims

    async def post(self, path: str, form: dict[str, str | None]) -> httpx.Response:
        """Send a form that names the client, unless `form` says otherwise."""
        named = {"client_id": CLIENT_ID, **form}
        return await self.browser.post(path, data={name: value for name, value in named.items() if value is not None})


def challenge_of(verifier: str) -> str:
    """The S256 challenge (RFC 7636, section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def answer_in(response: httpx.Response) -> dict[str, str]:
    """What a redirect carries to the client."""
    assert response.status_code == 303, response.text
    return dict(parse_qsl(urlsplit(response.headers["Location"]).query))


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "form":
            self.found.append({})
        name = dict(attrs).get("name")
        if tag == "input" and name:
            self.found[-1][name] = dict(attrs).get("value") or ""


def forms_of(page: str) -> list[dict[str, str]]:
    """The input fields of each form on a page, as a browser reads them."""
    parser = _Forms()
    parser.feed(page)
    return parser.found
