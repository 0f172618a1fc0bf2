"""The one origin and the development token issuer, with a stand-in for the services behind them."""

import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from radrelay_local.definition import Plan
from radrelay_local.errors import StackError
from radrelay_local.parts import edge, issuer
from radrelay_local.ports import SERVICE_PORTS
from radrelay_local.stack import RunningStack
from radrelay_shared.auth import AuthSettings, Role, TokenVerifier
from radrelay_shared.http import Unauthorized
from support.processes import listening_addresses
from support.relying_party import RelyingParty, answer_in


class EdgeAndIssuer(RunningStack):
    """A stack without services and infrastructure."""

    usual_ports = SERVICE_PORTS

    def plan(self) -> Plan:
        return Plan.of(issuer.definition(self.folders, self.ports), edge.definition(self.folders, self.ports))


class StandIn(BaseHTTPRequestHandler):
    """Tells which path it was asked for; sends two events, the second when `go_on` is set."""

    go_on = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path != "/events":
            self.end_headers()
            self.wfile.write(self.path.encode())
            return
        # The proxy would send on a stream of unknown length, or of events, whatever it is told.
        self.send_header("Content-Length", str(len(b"first\nsecond\n")))
        self.end_headers()
        self.wfile.write(b"first\n")
        assert self.go_on.wait(20)
        self.wfile.write(b"second\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
        """Keep the test output clean."""


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeAndIssuer]:
    front = EdgeAndIssuer(tmp_path_factory.mktemp("front"), prefer_usual_ports=False)
    front.up()
    yield front
    front.down()


@pytest.fixture
def upstream(front: EdgeAndIssuer) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", front.ports["ingest-api"]), StandIn) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
async def verifier(front: EdgeAndIssuer) -> AsyncIterator[TokenVerifier]:
    settings = AuthSettings(
        issuer=issuer.identifier(front.ports), audience=issuer.AUDIENCE, jwks_url=issuer.jwks_url(front.ports)
    )
    async with TokenVerifier(settings) as verifier:
        yield verifier


@pytest.mark.usefixtures("upstream")
@pytest.mark.parametrize("path", ["/v1/batches?limit=2", "/dicomweb/studies/1.2.3"])
def test_a_service_gets_the_path_without_the_prefix(front: EdgeAndIssuer, path: str) -> None:
    answer = httpx.get(f"{front.base_url}/api/ingest{path}")
    assert (answer.status_code, answer.text) == (200, path)


@pytest.mark.usefixtures("upstream")
def test_events_are_sent_on_as_they_come(front: EdgeAndIssuer) -> None:
    StandIn.go_on.clear()
    with httpx.stream("GET", f"{front.base_url}/api/ingest/events", timeout=10) as answer:
        received = answer.iter_lines()
        assert next(received) == "first"
        StandIn.go_on.set()
        assert next(received) == "second"


@pytest.mark.parametrize(
    ("path", "status"), [("/api/nothing", 404), ("/source/nothing.js", 404), ("/api/reports/v1/reports", 502)]
)
def test_what_nobody_answers_is_a_problem_document(front: EdgeAndIssuer, path: str, status: int) -> None:
    answer = httpx.get(f"{front.base_url}{path}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


@pytest.mark.parametrize("path", ["/", "/reports/5e0a", "/batches"])
def test_every_address_of_a_page_is_the_frontend(front: EdgeAndIssuer, path: str) -> None:
    answer = httpx.get(f"{front.base_url}{path}")
    assert answer.headers["content-type"].startswith("text/html")
    assert '<div id="application">' in answer.text
    settings = httpx.get(f"{front.base_url}/config.json").json()
    assert (settings["issuer"], settings["apis"]["reports"]) == ("/auth", "/api/reports")
    assert httpx.get(front.base_url + settings["model_cards"]["head-ct-haemorrhage"]).status_code == 200


def test_both_listen_on_loopback_alone(front: EdgeAndIssuer) -> None:
    assert listening_addresses(front.home) == {"127.0.0.1"}


async def test_a_token_proves_who_it_was_asked_for(front: EdgeAndIssuer, verifier: TokenVerifier) -> None:
    principal = await verifier.verify(front.issue_token("north-hospital", "ada", ["clinician", "tenant_admin"]))
    assert (principal.tenant, principal.owner_id) == ("north-hospital", "ada")
    assert principal.roles == {Role.CLINICIAN, Role.TENANT_ADMIN}


async def test_somebody_signs_in_through_the_edge_and_out_again(front: EdgeAndIssuer, verifier: TokenVerifier) -> None:
    async with httpx.AsyncClient(base_url=issuer.identifier(front.ports)) as browser:
        client = RelyingParty(browser, front.base_url)
        signed_in = await client.sign_in("north-admin")
        assert signed_in.headers["location"].startswith(f"{front.base_url}/signed-in?code=")
        tokens = (await client.redeem(answer_in(signed_in)["code"])).json()
        principal = await verifier.verify(tokens["access_token"])
        assert (principal.tenant, principal.owner_id) == ("north", "north-admin")
        assert principal.roles == {Role.TENANT_ADMIN}
        assert (await client.claims_in(tokens["id_token"]))["nonce"] == client.nonce
        assert "code" in answer_in(await client.ask(prompt="none"))
        leaving = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": f"{front.base_url}/"}
        answer = await browser.get("/end-session", params=leaving)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{front.base_url}/")
        assert answer_in(await client.ask(prompt="none"))["error"] == "login_required"
        assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_token_stays_good_when_the_issuer_is_restarted(front: EdgeAndIssuer, verifier: TokenVerifier) -> None:
    token = front.issue_token("north-hospital", "ada", ["clinician"])
    front.kill("issuer")
    front.start("issuer")
    assert (await verifier.verify(token)).owner_id == "ada"


async def test_a_token_of_another_installation_is_refused(
    front: EdgeAndIssuer, verifier: TokenVerifier, tmp_path: Path
) -> None:
    other = EdgeAndIssuer(tmp_path, prefer_usual_ports=False)
    other.up()
    token = other.issue_token("north-hospital", "ada", ["clinician"])
    other.down()
    with pytest.raises(Unauthorized):
        await verifier.verify(token)


def test_discovery_leads_to_the_keys(front: EdgeAndIssuer) -> None:
    found = httpx.get(f"{front.base_url}/auth/.well-known/openid-configuration").json()
    assert found["issuer"] == f"{front.base_url}/auth"
    keys = httpx.get(found["jwks_uri"]).json()["keys"]
    assert [(key["kty"], key["alg"], key["use"]) for key in keys] == [("RSA", "RS256", "sig")]
    assert keys[0].keys().isdisjoint({"d", "p", "q"})


@pytest.mark.parametrize(
    ("tenant", "user", "roles"),
    [
        ("North Hospital", "ada", ["clinician"]),
        ("north", "", ["clinician"]),
        ("north", "ada", []),
        ("north", "ada", ["root"]),
    ],
)
def test_a_token_for_nobody_is_refused(front: EdgeAndIssuer, tenant: str, user: str, roles: list[str]) -> None:
    with pytest.raises(StackError, match="refused with 422"):
        front.issue_token(tenant, user, roles)


def test_a_page_behind_another_name_gets_no_token(front: EdgeAndIssuer) -> None:
    # Without a body, which nobody would read: a server may close on it before its answer is through.
    answer = httpx.post(f"{front.base_url}/auth/token", headers={"Host": "attacker.example"})
    assert answer.status_code == 400


def test_the_issuer_says_that_it_is_for_development_only(front: EdgeAndIssuer) -> None:
    assert "DEVELOPMENT ONLY" in front.folders.log("issuer").read_text()
    request = {"tenant": "north", "user": "ada", "roles": ["clinician"]}
    assert "DEVELOPMENT ONLY" in httpx.post(f"{front.base_url}/auth/token", json=request).json()["warning"]
