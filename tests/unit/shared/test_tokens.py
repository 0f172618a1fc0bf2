"""Which bearer tokens prove a caller."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from radrelay_shared.auth import AuthSettings, Role, TokenVerifier
from radrelay_shared.http import ServiceUnavailable, Unauthorized
from support.tokens import TestIssuer, run_issuer


@pytest.fixture
async def verifier(issuer: TestIssuer) -> AsyncIterator[TokenVerifier]:
    async with TokenVerifier(issuer.settings) as opened:
        yield opened


async def test_a_good_token_names_tenant_owner_and_known_roles(issuer: TestIssuer, verifier: TokenVerifier) -> None:
    principal = await verifier.verify(issuer.token("north", "dr-ada", ("clinician", "something-else")))
    assert (principal.tenant, principal.owner_id, principal.roles) == ("north", "dr-ada", frozenset({Role.CLINICIAN}))
    assert not principal.is_tenant_admin
    assert (await verifier.verify(issuer.token("north", "chief", ("tenant_admin",)))).is_tenant_admin


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"exp": 1}, "expired"),
        ({"iss": "https://elsewhere"}, "another issuer"),
        ({"aud": "another-product"}, "another audience"),
        ({"sub": ""}, "no valid subject"),
        ({"tenant": "North"}, "no valid tenant"),
        ({"tenant": "a.b"}, "no valid tenant"),
        ({"tenant": "*"}, "no valid tenant"),
        ({"tenant": None}, "no valid tenant"),
        ({"tenant": "north\n"}, "no valid tenant"),
        ({"sub": "a\0b"}, "no valid subject"),
        ({"roles": []}, "no known role"),
        ({"roles": "tenant_admin"}, "no known role"),
    ],
    ids=str,
)
async def test_a_claim_that_is_wrong_is_named(
    issuer: TestIssuer, verifier: TokenVerifier, claims: dict[str, Any], says: str
) -> None:
    with pytest.raises(Unauthorized, match=says):
        await verifier.verify(issuer.token("north", "dr-ada", **claims))


def _part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def _claims(issuer: TestIssuer) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(issuer.token("north", "dr-ada"), options={"verify_signature": False})
    return claims


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30."])
async def test_what_is_no_token_is_refused(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(Unauthorized):
        await verifier.verify(token)


async def test_an_unsigned_token_and_a_symmetric_one_are_refused(issuer: TestIssuer, verifier: TokenVerifier) -> None:
    claims = _claims(issuer)
    for token in (
        f"{_part({'alg': 'none', 'kid': 'test-key'})}.{_part(claims)}.",
        jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": "test-key"}),
    ):
        with pytest.raises(Unauthorized, match="algorithm"):
            await verifier.verify(token)


async def test_a_token_signed_by_another_key_is_refused(issuer: TestIssuer, verifier: TokenVerifier) -> None:
    claims = _claims(issuer)
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with pytest.raises(Unauthorized, match="signature"):
        await verifier.verify(jwt.encode(claims, stranger, algorithm="RS256", headers={"kid": "test-key"}))
    with pytest.raises(Unauthorized, match="key is unknown"):
        await verifier.verify(jwt.encode(claims, stranger, algorithm="RS256", headers={"kid": "another"}))


async def test_a_symmetric_token_signed_with_the_public_key_is_refused(
    issuer: TestIssuer, verifier: TokenVerifier
) -> None:
    public_pem = issuer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': issuer.key_id})}.{_part(_claims(issuer))}"
    signature = hmac.new(public_pem, signed.encode(), hashlib.sha256).digest()
    with pytest.raises(Unauthorized, match="algorithm"):
        await verifier.verify(f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}")


@pytest.mark.parametrize("header", [{"crit": ["exp"], "exp": 1}, {"crit": ["unknown"], "unknown": 1}, {"crit": 5}])
async def test_a_critical_header_that_is_not_understood_is_refused(
    issuer: TestIssuer, verifier: TokenVerifier, header: dict[str, Any]
) -> None:
    token = jwt.encode(_claims(issuer), issuer.key, algorithm="RS256", headers={"kid": issuer.key_id} | header)
    with pytest.raises(Unauthorized):
        await verifier.verify(token)


@pytest.mark.parametrize("header", [{"jku": "https://evil.example/jwks.json"}, {"x5u": "https://evil.example/x"}])
async def test_a_key_that_the_token_itself_points_to_is_not_used(
    issuer: TestIssuer, verifier: TokenVerifier, header: dict[str, Any]
) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token = jwt.encode(_claims(issuer), stranger, algorithm="RS256", headers={"kid": issuer.key_id} | header)
    with pytest.raises(Unauthorized, match="signature"):
        await verifier.verify(token)


async def test_an_algorithm_of_another_kind_of_key_is_refused(issuer: TestIssuer, verifier: TokenVerifier) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    token = jwt.encode(_claims(issuer), stranger, algorithm="ES256", headers={"kid": issuer.key_id})
    with pytest.raises(Unauthorized):
        await verifier.verify(token)


async def test_a_flood_of_unknown_keys_asks_the_issuer_once_a_cooldown() -> None:
    with run_issuer() as issuer:
        stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        async with TokenVerifier(issuer.settings) as verifier:
            await verifier.verify(issuer.token("north", "dr-ada"))
            before = issuer.fetches
            tokens = [
                jwt.encode(_claims(issuer), stranger, algorithm="RS256", headers={"kid": f"unknown-{number}"})
                for number in range(200)
            ]
            refused = await asyncio.gather(*map(verifier.verify, tokens), return_exceptions=True)
        assert {type(error) for error in refused} == {Unauthorized}
        assert issuer.fetches - before == 0, "within the cooldown of the first fetch"


async def test_a_key_that_is_replaced_is_found_and_the_old_one_is_good_no_longer() -> None:
    with run_issuer() as issuer:
        settings = issuer.settings.model_copy(update={"refetch_cooldown_s": 0.0})
        async with TokenVerifier(settings) as verifier:
            old = issuer.token("north", "dr-ada")
            await verifier.verify(old)
            issuer.rotate("next-key")
            assert (await verifier.verify(issuer.token("north", "dr-bo"))).owner_id == "dr-bo"
            with pytest.raises(Unauthorized, match="key is unknown"):
                await verifier.verify(old)
        assert issuer.fetches == 3


async def test_an_issuer_that_was_never_reached_is_not_the_callers_fault(issuer: TestIssuer) -> None:
    settings = AuthSettings(issuer=issuer.settings.issuer, jwks_url="http://127.0.0.1:9/jwks.json")
    async with TokenVerifier(settings) as verifier:
        with pytest.raises(ServiceUnavailable):
            await verifier.verify(issuer.token("north", "dr-ada"))


async def test_a_caller_who_goes_away_does_not_make_the_next_one_wait(issuer: TestIssuer) -> None:
    async with TokenVerifier(issuer.settings) as verifier:
        gone = asyncio.create_task(verifier.verify(issuer.token("north", "dr-ada")))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert (await verifier.verify(issuer.token("north", "dr-bo"))).owner_id == "dr-bo"


async def test_known_keys_survive_an_outage_of_the_issuer() -> None:
    with run_issuer() as issuer:
        settings = issuer.settings.model_copy(update={"keys_max_age_s": 0.0, "refetch_cooldown_s": 0.0})
        verifier = TokenVerifier(settings)
        token = issuer.token("north", "dr-ada")
        await verifier.verify(token)
    async with verifier:
        assert (await verifier.verify(token)).owner_id == "dr-ada"
