from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from radrelay_local.issuer.grants import SESSION_LIFETIME_S
from radrelay_local.people import DEVELOPMENT_USERS
from support.clock import Clock
from support.relying_party import ORIGIN, RelyingParty, answer_in, forms_of

COOKIE = "radrelay_issuer_session"


async def signed_out_at(client: RelyingParty, **parameters: str) -> httpx.Response:
    return await client.browser.get("/end-session", params=parameters)


async def test_a_browser_without_a_session_is_shown_the_sign_in_page(client: RelyingParty) -> None:
    page = await client.ask()
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "For development only" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "set-cookie" not in page.headers


async def test_the_page_offers_everybody_of_the_demo_and_a_form_for_anybody(client: RelyingParty) -> None:
    *people, anybody = forms_of((await client.ask()).text)
    assert [(form["tenant"], form["user"], form["role"]) for form in people] == [
        (user.tenant, user.name, user.role) for user in DEVELOPMENT_USERS
    ]
    assert (anybody["tenant"], anybody["user"]) == ("", "")
    assert all(client.request().items() <= form.items() for form in (*people, anybody))


async def test_signing_in_sends_a_code_the_state_and_the_issuer_to_the_client(client: RelyingParty) -> None:
    answer = await client.sign_in()
    assert answer.headers["location"].startswith(f"{client.redirect_uri}?")
    assert answer.headers["cache-control"] == "no-store"
    carried = answer_in(answer)
    assert carried.keys() == {"code", "state", "iss"}
    assert (carried["state"], carried["iss"]) == (client.state, f"{ORIGIN}/auth")


async def test_an_address_with_a_query_keeps_it(client: RelyingParty) -> None:
    client.redirect_uri = f"{ORIGIN}/other?tab=1"
    carried = answer_in(await client.sign_in(state=None))
    assert carried.keys() == {"tab", "code", "iss"}


async def test_the_sessions_cookie_is_out_of_reach_of_scripts_and_other_sites(client: RelyingParty) -> None:
    name_and_value, *attributes = (await client.sign_in()).headers["set-cookie"].split("; ")
    assert name_and_value.startswith(f"{COOKIE}=")
    assert sorted(attributes) == ["HttpOnly", "Path=/auth", "SameSite=lax"]


@pytest.mark.parametrize("prompt", [None, "none"])
async def test_a_browser_with_a_session_gets_a_code_at_once(client: RelyingParty, prompt: str | None) -> None:
    first = answer_in(await client.sign_in())
    again = answer_in(await client.ask(prompt=prompt))
    assert again.keys() == {"code", "state", "iss"}
    assert again["code"] != first["code"]


@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"prompt": "login consent"}, {"max_age": "299"}])
async def test_somebody_is_asked_again_where_the_client_wants_it(
    client: RelyingParty, clock: Clock, asked: dict[str, str]
) -> None:
    await client.sign_in()
    clock.now_s += 300
    page = await client.ask(**asked)
    assert page.status_code == 200
    assert answer_in(await client.submit(forms_of(page.text)[0])).keys() == {"code", "state", "iss"}


async def test_a_session_that_is_young_enough_will_do(client: RelyingParty, clock: Clock) -> None:
    await client.sign_in()
    clock.now_s += 300
    assert "code" in answer_in(await client.ask(max_age="300"))


@pytest.mark.parametrize("asked", [{}, {"max_age": "10"}])
async def test_without_a_session_that_will_do_a_silent_request_is_told_to_sign_in(
    client: RelyingParty, clock: Clock, asked: dict[str, str]
) -> None:
    if asked:
        await client.sign_in()
        clock.now_s += 11
    carried = answer_in(await client.ask(prompt="none", **asked))
    assert carried.pop("error_description")
    assert carried == {"error": "login_required", "state": client.state, "iss": f"{ORIGIN}/auth"}


async def test_a_session_ends_by_itself(client: RelyingParty, clock: Clock) -> None:
    await client.sign_in()
    clock.now_s += SESSION_LIFETIME_S
    assert answer_in(await client.ask(prompt="none"))["error"] == "login_required"


async def test_a_cookie_that_names_no_session_signs_nobody_in(client: RelyingParty) -> None:
    client.browser.cookies.set(COOKIE, "guessed", domain="127.0.0.1", path="/auth")
    assert (await client.ask()).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "another"},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": "https://attacker.example/signed-in"},
        {"redirect_uri": f"{ORIGIN}/signed-in/"},
        {"redirect_uri": f"{ORIGIN}/signed-in?more=1"},
        {"redirect_uri": f"{ORIGIN}/Signed-in"},
        {"redirect_uri": f"{ORIGIN}/signed-in#fragment"},
    ],
)
async def test_an_unknown_client_or_address_gets_a_page_and_no_redirect(
    client: RelyingParty, change: dict[str, str | None]
) -> None:
    await client.sign_in()
    page = await client.ask(**change)
    assert (page.status_code, page.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "location" not in page.headers


async def test_a_form_for_an_unknown_address_gets_a_page_and_no_session(client: RelyingParty) -> None:
    form = forms_of((await client.ask()).text)[0]
    page = await client.submit({**form, "redirect_uri": "https://attacker.example/"})
    assert (page.status_code, page.headers.keys() & {"location", "set-cookie"}) == (400, set())


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"request": "a.b.c"}, "request_not_supported"),
        ({"request_uri": "https://attacker.example/"}, "request_uri_not_supported"),
    ],
)
async def test_a_known_client_is_told_by_redirect_what_is_wrong(
    client: RelyingParty, change: dict[str, str | None], error: str
) -> None:
    await client.sign_in()
    answer = await client.ask(**change)
    assert answer.headers["location"].startswith(f"{client.redirect_uri}?")
    carried = answer_in(answer)
    assert carried.pop("error_description")
    assert carried == {"error": error, "state": client.state, "iss": f"{ORIGIN}/auth"}


async def test_a_parameter_that_is_given_twice_is_refused(client: RelyingParty) -> None:
    twice = f"/authorize?{urlencode(client.request())}&scope=openid"
    answer = await client.browser.get(twice)
    assert answer_in(answer)["error"] == "invalid_request"
    assert (await client.browser.get(f"{twice}&client_id=another")).status_code == 400


async def test_a_form_is_checked_as_the_query_was(client: RelyingParty) -> None:
    form = forms_of((await client.ask()).text)[0]
    answer = await client.submit({**form, "code_challenge_method": "plain"})
    assert answer_in(answer)["error"] == "invalid_request"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("origin", ["https://attacker.example", "http://127.0.0.1:8081", f"{ORIGIN}/", "null"])
async def test_a_form_of_another_origin_signs_nobody_in(client: RelyingParty, origin: str) -> None:
    form = forms_of((await client.ask()).text)[0]
    page = await client.submit(form, origin)
    assert (page.status_code, page.headers.keys() & {"location", "set-cookie"}) == (403, set())


async def test_a_form_without_an_origin_signs_nobody_in(client: RelyingParty) -> None:
    form = forms_of((await client.ask()).text)[0]
    assert (await client.browser.post("/authorize", data=form)).status_code == 403


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"tenant": "North Hospital"}, "The tenant is"),
        ({"user": ""}, "The user is"),
        ({"user": "x" * 256}, "The user is"),
        ({"role": "root"}, "The role is"),
    ],
)
async def test_nobody_is_signed_in_as_nobody(client: RelyingParty, change: dict[str, str], advice: str) -> None:
    anybody = {**forms_of((await client.ask()).text)[-1], "tenant": "north", "user": "x", "role": "clinician"}
    page = await client.submit({**anybody, **change})
    assert (page.status_code, "set-cookie" in page.headers) == (400, False)
    assert advice in page.text
    again = forms_of(page.text)[-1]
    assert client.request().items() <= again.items()
    assert {name: again[name] for name in ("tenant", "user")} == {
        name: {**anybody, **change}[name] for name in ("tenant", "user")
    }


async def test_signing_in_ends_the_session_that_the_browser_had(client: RelyingParty) -> None:
    of_ada = answer_in(await client.sign_in("dr-ada"))["code"]
    await client.sign_in("dr-ben", prompt="login")
    assert (await client.redeem(of_ada)).json()["error"] == "invalid_grant"


async def test_signing_out_ends_the_session_and_leads_back_to_the_client(client: RelyingParty) -> None:
    tokens = (await client.redeem(answer_in(await client.sign_in())["code"])).json()
    answer = await signed_out_at(
        client, id_token_hint=tokens["id_token"], post_logout_redirect_uri=f"{ORIGIN}/", state="s&t"
    )
    assert urlsplit(answer.headers["location"])[:3] == ("http", "127.0.0.1:8080", "/")
    assert answer_in(answer) == {"state": "s&t"}
    assert COOKIE not in client.browser.cookies
    assert answer_in(await client.ask(prompt="none"))["error"] == "login_required"
    assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_session_that_was_signed_out_does_not_come_back_with_its_cookie(client: RelyingParty) -> None:
    await client.sign_in()
    cookie = client.browser.cookies[COOKIE]
    await signed_out_at(client)
    client.browser.cookies.set(COOKIE, cookie, domain="127.0.0.1", path="/auth")
    assert (await client.ask()).status_code == 200


async def test_signing_out_without_an_address_says_so_on_a_page(client: RelyingParty) -> None:
    await client.sign_in()
    page = await signed_out_at(client)
    assert (page.status_code, "Signed out" in page.text) == (200, True)
    assert answer_in(await client.ask(prompt="none"))["error"] == "login_required"


async def test_an_id_token_that_has_expired_is_a_good_hint(client: RelyingParty, clock: Clock) -> None:
    tokens = (await client.redeem(answer_in(await client.sign_in())["code"])).json()
    clock.now_s += 3600
    answer = await signed_out_at(client, id_token_hint=tokens["id_token"], post_logout_redirect_uri=f"{ORIGIN}/")
    assert answer.headers["location"] == f"{ORIGIN}/"


@pytest.mark.parametrize(
    "wrong",
    [
        {"post_logout_redirect_uri": "https://attacker.example/"},
        {"post_logout_redirect_uri": ORIGIN},
        {"post_logout_redirect_uri": f"{ORIGIN}/signed-in"},
        {"id_token_hint": "no.to.ken"},
        {"client_id": "another"},
    ],
)
async def test_a_wrong_sign_out_leads_nowhere_and_signs_nobody_out(client: RelyingParty, wrong: dict[str, str]) -> None:
    await client.sign_in()
    page = await signed_out_at(client, **wrong)
    assert (page.status_code, page.headers.keys() & {"location", "set-cookie"}) == (400, set())
    assert "code" in answer_in(await client.ask(prompt="none"))


async def test_an_access_token_is_no_hint(client: RelyingParty) -> None:
    tokens = (await client.redeem(answer_in(await client.sign_in())["code"])).json()
    assert (await signed_out_at(client, id_token_hint=tokens["access_token"])).status_code == 400
