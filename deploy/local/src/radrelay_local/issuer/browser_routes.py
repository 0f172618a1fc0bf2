"""What people's browsers are sent to: sign in, get a code, sign out."""

from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from radrelay_local.issuer.authorization import AuthorizationRequest, address_with, authorization_request
from radrelay_local.issuer.container import CurrentIssuer, Issuer
from radrelay_local.issuer.forms import Parameters
from radrelay_local.issuer.grants import Session
from radrelay_local.issuer.pages import message_page, sign_in_page
from radrelay_local.issuer.refusals import UnanswerableRequest
from radrelay_local.issuer.tokens import Subject

router = APIRouter(include_in_schema=False)

SESSION_COOKIE: Final = "radrelay_issuer_session"


@router.get("/authorize")
async def authorize(http: Request, issuer: CurrentIssuer) -> Response:
    """A code for whom this browser is signed in as, else the sign-in page (OpenID Connect Core 1.0, section 3.1.2)."""
    request = authorization_request(Parameters.of(http.url.query), issuer.settings)
    session = issuer.grants.session(http.cookies.get(SESSION_COOKIE))
    if session and request.is_met_by(session.signed_in_at_s, issuer.now()):
        return _code_for(session, request, issuer)
    if "none" in request.prompt:
        raise request.refused("login_required", "nobody is signed in, or not recently enough")
    return sign_in_page(request)


@router.post("/authorize")
async def sign_in(http: Request, issuer: CurrentIssuer) -> Response:
    """The sign-in page, filled in: the browser is signed in from now on, and the client gets its code."""
    if http.headers.get("Origin") != issuer.settings.origin:
        raise UnanswerableRequest(403, f"This form is taken from pages of {issuer.settings.origin} alone.")
    parameters = Parameters.of(await http.body())
    request = authorization_request(parameters, issuer.settings)
    given = parameters.given
    entries = {"tenant": given.get("tenant"), "user": given.get("user"), "roles": [given.get("role")]}
    try:
        subject = Subject.model_validate(entries)
    except ValidationError as error:
        return sign_in_page(request, entries=given, wrong=sorted({str(each["loc"][0]) for each in error.errors()}))
    # A browser has one session: whoever was signed in with it before is signed out.
    issuer.grants.sign_out(http.cookies.get(SESSION_COOKIE))
    session = issuer.grants.sign_in(subject)
    answer = _code_for(session, request, issuer)
    answer.set_cookie(
        SESSION_COOKIE,
        session.session_id,
        path=issuer.settings.cookie_path,
        secure=issuer.settings.is_secure,
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get("/end-session")
async def end_session(http: Request, issuer: CurrentIssuer) -> Response:
    """Sign out (OpenID Connect RP-Initiated Logout 1.0, section 2). A request that is wrong signs nobody out."""
    parameters = Parameters.of(http.url.query)
    address = _address_after(parameters, issuer)
    issuer.grants.sign_out(http.cookies.get(SESSION_COOKIE))
    answer = (
        sent_on(address, state=parameters.given.get("state"))
        if address
        else message_page(200, "Signed out", "You are signed out of the development issuer.")
    )
    answer.delete_cookie(
        SESSION_COOKIE,
        path=issuer.settings.cookie_path,
        secure=issuer.settings.is_secure,
        httponly=True,
        samesite="lax",
    )
    return answer


def _address_after(parameters: Parameters, issuer: Issuer) -> str | None:
    """Where a sign-out leads to, None where the client does not say.

    Raises:
        UnanswerableRequest: an address that is not the client's, another client, or an ID token that is not ours.
    """
    given = parameters.given
    if parameters.repeated:
        raise UnanswerableRequest(400, "A parameter is given more than once.")
    if given.get("client_id", issuer.settings.client_id) != issuer.settings.client_id:
        raise UnanswerableRequest(400, f"client_id must be {issuer.settings.client_id}.")
    if "id_token_hint" in given and not issuer.tokens.is_own_id_token(given["id_token_hint"]):
        raise UnanswerableRequest(400, "id_token_hint is no ID token of this issuer for this client.")
    address = given.get("post_logout_redirect_uri")
    if address is not None and address not in issuer.settings.post_logout_redirect_uris:
        known = ", ".join(issuer.settings.post_logout_redirect_uris) or "none"
        raise UnanswerableRequest(400, f"post_logout_redirect_uri must be one of the client's own. They are: {known}.")
    return address


def _code_for(session: Session, request: AuthorizationRequest, issuer: Issuer) -> Response:
    code = issuer.grants.issue_code(session, request)
    # `iss` tells a client of several issuers which one answers (RFC 9207).
    return sent_on(request.redirect_uri, code=code, state=request.state, iss=issuer.settings.identifier)


def sent_on(address: str, **answer: str | None) -> Response:
    """A redirect that is followed by GET, and by no form that was sent (RFC 9700, section 4.12)."""
    return RedirectResponse(address_with(address, **answer), 303, {"Cache-Control": "no-store"})
