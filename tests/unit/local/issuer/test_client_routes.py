from typing import Any

import pytest

from radrelay_local.issuer.grants import CODE_LIFETIME_S, SESSION_LIFETIME_S
from support.clock import Clock
from support.relying_party import ORIGIN, RelyingParty, answer_in, challenge_of


async def tokens_of(client: RelyingParty) -> dict[str, Any]:
    answer = await client.redeem(answer_in(await client.sign_in())["code"])
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


async def test_a_code_is_exchanged_for_tokens_of_whoever_signed_in(client: RelyingParty, clock: Clock) -> None:
    code = answer_in(await client.sign_in("north-admin"))["code"]
    signed_in_at = int(clock.now_s)
    clock.now_s += 5
    answer = await client.redeem(code)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    tokens = answer.json()
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "id_token", "scope"}
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 300, "openid")
    now = int(clock.now_s)
    who = {"iss": f"{ORIGIN}/auth", "sub": "north-admin", "tenant": "north", "roles": ["tenant_admin"]}
    times = {"iat": now, "exp": now + 300}
    assert await client.claims_in(tokens["access_token"], "radrelay") == {**who, **times, "aud": "radrelay"}
    assert await client.claims_in(tokens["id_token"]) == {
        **who,
        **times,
        "aud": "clinician-frontend",
        "nonce": client.nonce,
        "auth_time": signed_in_at,
    }


async def test_a_client_that_sent_no_nonce_gets_none(client: RelyingParty) -> None:
    code = answer_in(await client.sign_in(nonce=None))["code"]
    id_token = (await client.redeem(code)).json()["id_token"]
    assert "nonce" not in await client.claims_in(id_token)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_grant"),
        ({"code_verifier": "ü" * 43}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": f"{ORIGIN}/other?tab=1"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"code": "guessed"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"client_id": "another"}, "invalid_client"),
        ({"client_id": None}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
    ],
)
async def test_a_wrong_exchange_is_refused(client: RelyingParty, change: dict[str, str | None], error: str) -> None:
    code = answer_in(await client.sign_in())["code"]
    answer = await client.redeem(**{"code": code, **change})  # type: ignore[arg-type]  # None takes it away
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"


async def test_the_challenge_itself_is_no_verifier(client: RelyingParty) -> None:
    code = answer_in(await client.sign_in())["code"]
    answer = await client.redeem(code, code_verifier=challenge_of(client.verifier))
    assert answer.json()["error"] == "invalid_grant"


async def test_a_verifier_that_could_be_guessed_is_refused(client: RelyingParty) -> None:
    client.verifier = "x" * 42
    code = answer_in(await client.sign_in())["code"]
    assert (await client.redeem(code)).json()["error"] == "invalid_grant"


async def test_a_parameter_that_is_given_twice_is_refused(client: RelyingParty) -> None:
    form = b"grant_type=refresh_token&client_id=clinician-frontend&refresh_token=a&refresh_token=b"
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    answer = await client.browser.post("/token", content=form, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_code_has_expired_after_a_minute(client: RelyingParty, clock: Clock) -> None:
    code = answer_in(await client.sign_in())["code"]
    clock.now_s += CODE_LIFETIME_S
    assert (await client.redeem(code)).json()["error"] == "invalid_grant"


async def test_a_code_is_good_to_the_end_of_its_minute(client: RelyingParty, clock: Clock) -> None:
    code = answer_in(await client.sign_in())["code"]
    clock.now_s += CODE_LIFETIME_S - 1
    assert (await client.redeem(code)).status_code == 200


async def test_a_code_that_is_used_again_revokes_what_it_brought(client: RelyingParty) -> None:
    code = answer_in(await client.sign_in())["code"]
    first = (await client.redeem(code)).json()
    latest = (await client.refresh(first["refresh_token"])).json()
    assert (await client.redeem(code)).json()["error"] == "invalid_grant"
    assert (await client.refresh(latest["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_wrong_verifier_spends_the_code(client: RelyingParty) -> None:
    code = answer_in(await client.sign_in())["code"]
    await client.redeem(code, code_verifier="x" * 43)
    assert (await client.redeem(code)).json()["error"] == "invalid_grant"


async def test_a_refresh_token_brings_new_tokens_and_the_next_one(client: RelyingParty, clock: Clock) -> None:
    first = await tokens_of(client)
    signed_in_at = int(clock.now_s)
    clock.now_s += 240
    answer = await client.refresh(first["refresh_token"])
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    second = answer.json()
    assert second.keys() == first.keys()
    assert second["refresh_token"] != first["refresh_token"]
    claims = await client.claims_in(second["access_token"], "radrelay")
    assert (claims["sub"], claims["exp"]) == ("dr-ada", int(clock.now_s) + 300)
    # OpenID Connect Core 1.0, section 12.2: the time of the sign-in stays, the nonce is not repeated.
    about = await client.claims_in(second["id_token"])
    assert (about["auth_time"], about["iat"], "nonce" in about) == (signed_in_at, int(clock.now_s), False)
    assert (await client.refresh(second["refresh_token"], scope="openid")).status_code == 200


async def test_a_refresh_token_that_is_used_again_revokes_all_that_followed(client: RelyingParty) -> None:
    first = await tokens_of(client)
    second = (await client.refresh(first["refresh_token"])).json()
    third = (await client.refresh(second["refresh_token"])).json()
    assert (await client.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await client.refresh(third["refresh_token"])).json()["error"] == "invalid_grant"


async def test_what_another_code_brought_stays(client: RelyingParty) -> None:
    first = await tokens_of(client)
    other = (await client.redeem(answer_in(await client.ask())["code"])).json()
    await client.refresh(first["refresh_token"])
    await client.refresh(first["refresh_token"])
    assert (await client.refresh(other["refresh_token"])).status_code == 200


async def test_a_refresh_token_ends_with_its_session(client: RelyingParty, clock: Clock) -> None:
    tokens = await tokens_of(client)
    clock.now_s += SESSION_LIFETIME_S
    assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"refresh_token": "guessed"}, "invalid_grant"),
        ({"refresh_token": None}, "invalid_request"),
        ({"scope": "openid admin"}, "invalid_scope"),
        ({"client_id": "another"}, "invalid_client"),
    ],
)
async def test_a_wrong_refresh_is_refused_and_spends_nothing(
    client: RelyingParty, change: dict[str, str | None], error: str
) -> None:
    token = (await tokens_of(client))["refresh_token"]
    answer = await client.post("/token", {"grant_type": "refresh_token", "refresh_token": token, **change})
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert (await client.refresh(token)).status_code == 200


async def test_a_revoked_refresh_token_is_good_no_more(client: RelyingParty) -> None:
    token = (await tokens_of(client))["refresh_token"]
    assert (await client.post("/revoke", {"token": token})).status_code == 200
    assert (await client.refresh(token)).json()["error"] == "invalid_grant"


async def test_revoking_what_is_unknown_is_done_already(client: RelyingParty) -> None:
    assert (await client.post("/revoke", {"token": "unknown"})).status_code == 200


@pytest.mark.parametrize(
    ("form", "error"), [({"token": None}, "invalid_request"), ({"client_id": "another"}, "invalid_client")]
)
async def test_a_wrong_revocation_is_refused(client: RelyingParty, form: dict[str, str | None], error: str) -> None:
    token = (await tokens_of(client))["refresh_token"]
    answer = await client.post("/revoke", {"token": token, **form})
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert (await client.refresh(token)).status_code == 200
