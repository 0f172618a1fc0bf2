"""The issuer's pages: plain HTML that runs no script and fetches nothing."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from radrelay_local.issuer.authorization import AuthorizationRequest
from radrelay_local.people import DEVELOPMENT_USERS
from radrelay_shared.auth import Role

_PAGES: Final = Environment(
    loader=PackageLoader("radrelay_local.issuer"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_STYLE: Final = _PAGES.get_template("style.css").render()
_STYLE_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; base-uri 'none'; frame-ancestors 'none'; form-action "
)
_FORMER_ENTRIES: Final = {"tenant": "", "user": "", "role": Role.CLINICIAN}
_ADVICE: Final = {
    "tenant": "The tenant is 1 to 63 characters: lower-case letters, digits, and hyphens but not first.",
    "user": "The user is 1 to 255 characters.",
    "roles": "The role is one of those in the list.",
}


def sign_in_page(
    request: AuthorizationRequest, *, entries: Mapping[str, str] | None = None, wrong: Sequence[str] = ()
) -> HTMLResponse:
    """The page that asks who it is.

    Args:
        request: what the client asked for; the form carries it.
        entries: what was typed before, where that was no good.
        wrong: which fields of a subject were no good.
    """
    # Browsers also ask the policy about the address that the form's answer leads to: the client's.
    client = urlsplit(request.redirect_uri)
    return _page(
        "sign_in.html",
        status=400 if wrong else 200,
        form_action=f"'self' {client.scheme}://{client.netloc}",
        fields=request.fields(),
        people=DEVELOPMENT_USERS,
        roles=list(Role),
        entries={**_FORMER_ENTRIES, **(entries or {})},
        wrong=wrong,
        advice=_ADVICE,
    )


def message_page(status: int, title: str, text: str) -> HTMLResponse:
    """A page that only says something."""
    return _page("message.html", status=status, form_action="'none'", title=title, text=text)


def _page(template: str, *, status: int, form_action: str, **content: Any) -> HTMLResponse:
    text = _PAGES.get_template(template).render(style=_STYLE, **content)
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": _POLICY + form_action,
        # Without a referrer to its own origin a browser would send the form with `Origin: null`.
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(text, status, headers)
