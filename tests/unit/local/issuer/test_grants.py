import pytest

from radrelay_local.issuer.authorization import AuthorizationRequest
from radrelay_local.issuer.grants import SESSION_LIFETIME_S, Grants
from radrelay_local.issuer.refusals import TokenRefused
from radrelay_local.issuer.tokens import Subject
from radrelay_shared.auth import Role
from support.clock import Clock
from support.relying_party import challenge_of

VERIFIER = "v" * 43
ADDRESS = "http://127.0.0.1:8080/signed-in"
ADA = Subject(tenant="north", user="dr-ada", roles=[Role.CLINICIAN])
REQUEST = AuthorizationRequest(
    client_id="one",
    redirect_uri=ADDRESS,
    challenge=challenge_of(VERIFIER),
    state=None,
    nonce=None,
    prompt=frozenset(),
    max_age_s=None,
)


@pytest.fixture
def grants(clock: Clock) -> Grants:
    return Grants(clock)


def refresh_token_of(grants: Grants) -> str:
    code = grants.issue_code(grants.sign_in(ADA), REQUEST)
    return grants.redeem(code, client_id="one", redirect_uri=ADDRESS, verifier=VERIFIER).refresh_token


def test_a_code_is_of_no_use_to_another_client(grants: Grants) -> None:
    code = grants.issue_code(grants.sign_in(ADA), REQUEST)
    with pytest.raises(TokenRefused, match="invalid_grant"):
        grants.redeem(code, client_id="two", redirect_uri=ADDRESS, verifier=VERIFIER)


def test_another_client_neither_uses_nor_revokes_a_refresh_token(grants: Grants) -> None:
    token = refresh_token_of(grants)
    with pytest.raises(TokenRefused, match="invalid_grant"):
        grants.refresh(token, client_id="two")
    grants.revoke(token, client_id="two")
    assert grants.refresh(token, client_id="one").session.subject == ADA


def test_nothing_is_kept_of_sessions_that_are_over(grants: Grants, clock: Clock) -> None:
    refresh_token_of(grants)
    clock.now_s += SESSION_LIFETIME_S
    session = grants.sign_in(ADA)
    assert list(grants._sessions) == [session.session_id]  # what is forgotten can be seen nowhere else
    assert (grants._codes, grants._families) == ({}, {})
