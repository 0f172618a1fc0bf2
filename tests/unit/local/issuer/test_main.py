import httpx
import pytest

from radrelay_local.issuer.main import create_app
from radrelay_local.issuer.settings import IssuerSettings
from support.asgi import serving
from support.relying_party import RelyingParty

WHO = {"tenant": "north", "user": "dr-ada", "roles": ["tenant_admin", "clinician", "clinician"]}


async def test_discovery_says_what_the_issuer_does(browser: httpx.AsyncClient, settings: IssuerSettings) -> None:
    found = (await browser.get("/.well-known/openid-configuration")).json()
    identifier = settings.identifier
    assert found["issuer"] == identifier
    assert {name: value for name, value in found.items() if name.endswith(("_endpoint", "_uri"))} == {
        "authorization_endpoint": f"{identifier}/authorize",
        "token_endpoint": f"{identifier}/token",
        "revocation_endpoint": f"{identifier}/revoke",
        "end_session_endpoint": f"{identifier}/end-session",
        "jwks_uri": f"{identifier}/jwks",
    }
    assert found["response_types_supported"] == ["code"]
    assert found["response_modes_supported"] == ["query"]
    assert found["grant_types_supported"] == ["authorization_code", "refresh_token"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["scopes_supported"] == ["openid"]
    assert found["token_endpoint_auth_methods_supported"] == ["none"]
    assert found["id_token_signing_alg_values_supported"] == ["RS256"]
    assert found["authorization_response_iss_parameter_supported"] is True


async def test_every_endpoint_that_discovery_names_is_there(browser: httpx.AsyncClient) -> None:
    found = (await browser.get("/.well-known/openid-configuration")).json()
    for name in ("authorization_endpoint", "token_endpoint", "revocation_endpoint", "end_session_endpoint", "jwks_uri"):
        assert (await browser.get(found[name])).status_code != 404, name


@pytest.mark.parametrize(("asked", "lifetime_s"), [({}, 8 * 3600), ({"lifetime_s": 60}, 60)])
async def test_json_gets_a_token_for_whoever_it_names(
    client: RelyingParty, asked: dict[str, int], lifetime_s: int
) -> None:
    answer = (await client.browser.post("/token", json={**WHO, **asked})).json()
    assert answer.keys() == {"access_token", "token_type", "expires_in", "warning"}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", lifetime_s)
    claims = await client.claims_in(answer["access_token"], "radrelay")
    assert claims.keys() == {"iss", "aud", "sub", "tenant", "roles", "iat", "exp"}
    assert (claims["sub"], claims["tenant"], claims["roles"]) == ("dr-ada", "north", ["clinician", "tenant_admin"])
    assert claims["exp"] - claims["iat"] == lifetime_s


@pytest.mark.parametrize(
    "change", [{"tenant": "North"}, {"user": ""}, {"roles": []}, {"roles": ["root"]}, {"lifetime_s": 0}, {"more": 1}]
)
async def test_json_that_names_nobody_is_unprocessable(browser: httpx.AsyncClient, change: dict[str, object]) -> None:
    answer = await browser.post("/token", json={**WHO, **change})
    assert (answer.status_code, answer.json()["detail"][0]["loc"][0]) == (422, "body")


async def test_a_body_of_another_type_gets_no_token(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/token", content=b"tenant=north", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422


async def test_the_issuer_answers_under_no_other_name(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/authorize", headers={"Host": "attacker.example"})
    assert answer.status_code == 400
    assert "Invalid host" in answer.text


async def test_the_issuer_answers_to_a_name_that_it_is_given(settings: IssuerSettings) -> None:
    named = settings.model_copy(update={"hosts": ("issuer",)})
    async with serving(create_app(named), "http://issuer:8000") as service:
        assert (await service.get("/jwks")).status_code == 200
