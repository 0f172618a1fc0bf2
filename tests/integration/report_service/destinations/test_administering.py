"""Administrators look after destinations; what they may not do is refused by name."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from radrelay_shared.database import Database, Scope
from report_service.domain.destinations import MOST_A_TENANT
from report_service.main import create_app
from report_service.settings import DestinationSettings, ReportSettings
from support.asgi import serving
from support.destinations import SOON, TOPICS, Administrator
from support.tenants import new_tenant
from support.tokens import TestIssuer

HOST = "https://ris.example.org"
URL = f"{HOST}/events"
WANTED = {"name": "RIS", "url": URL, "event_types": TOPICS}


@pytest.fixture(scope="module")
async def api(settings: ReportSettings) -> AsyncIterator[httpx.AsyncClient]:
    allowed = SOON.model_copy(update={"hosts": (HOST, "https://ehr.example.org:8443")})
    async with serving(create_app(settings.model_copy(update={"destinations": allowed}))) as opened:
        yield opened


def code_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def actions(database: Database, tenant: str) -> list[tuple[str, str, str | None]]:
    query = text("SELECT action, actor, destination_id FROM report.audit ORDER BY sequence")
    async with database.transaction(Scope.service(tenant)) as session:
        return [(row.action, row.actor, str(row.destination_id)) for row in await session.execute(query)]


async def test_a_destination_from_its_creation_to_its_end(boss: Administrator, database: Database) -> None:
    created = await boss.create(URL)
    secret = created.pop("secret")
    assert secret.startswith("whsec_")
    one = created["destination_id"]
    assert created.pop("etag") == (await boss.get(created))[1]
    assert created | {"created_at": None, "changed_at": None} == {
        "destination_id": one,
        "kind": "webhook",
        "name": "RIS",
        "url": URL,
        "event_types": TOPICS,
        "paused": False,
        "pause_reason": None,
        "failing": False,
        "pending": 0,
        "failed": 0,
        "last_delivered_at": None,
        "created_at": None,
        "created_by": "boss",
        "changed_at": None,
    }
    listed = (await boss.call("GET")).json()
    assert [{name: each[name] for name in created} for each in listed["destinations"]] == [created]
    assert listed["allowed_hosts"] == [HOST, "https://ehr.example.org:8443"]
    event_id = await boss.test(created)
    changed = await boss.change(created, name="RIS 2", paused=True, event_types=["report.erased", "report.created"])
    assert (changed["name"], changed["url"], changed["pause_reason"]) == ("RIS 2", URL, "administrator")
    assert (changed["event_types"], changed["pending"]) == (["report.created", "report.erased"], 1)
    (delivery,) = await boss.deliveries(created)
    assert (delivery["event_id"], delivery["event_type"]) == (event_id, "org.radrelay.destination.tested.v1")
    rotated = await boss.call("POST", f"/{one}/secret", headers={"If-Match": "*"})
    assert rotated.json()["secret"] not in {secret, ""}
    assert (await boss.call("DELETE", f"/{one}", headers={"If-Match": "*"})).status_code == 204
    assert await actions(database, boss.tenant) == [
        (f"destination.{action}", "boss", one)
        for action in ("created", "tested", "changed", "secret_rotated", "removed")
    ]
    shown = await boss.client.get("/v1/audit", headers=boss.headers)
    assert {each["destination_id"] for each in shown.json()["records"]} == {one}
    assert code_of(await boss.call("GET", f"/{one}")) == (404, "destination_not_found")


async def test_a_secret_is_shown_once_and_kept_sealed(boss: Administrator, database: Database) -> None:
    created = await boss.create(URL)
    secret = created["secret"]
    for path in ("", f"/{created['destination_id']}", f"/{created['destination_id']}/deliveries"):
        assert secret not in (await boss.call("GET", path)).text
    query = text("SELECT row_to_json(d)::text AS content FROM report.destinations d")
    async with database.transaction(Scope.service(boss.tenant)) as session:
        (row,) = (await session.execute(query)).all()
    assert secret not in row.content
    assert secret.removeprefix("whsec_").encode().hex() not in row.content


@pytest.mark.parametrize("path", ["", "/{one}", "/{one}/deliveries"])
@pytest.mark.parametrize("role", ["clinician", "service"])
async def test_nobody_else_sees_any(
    boss: Administrator, api: httpx.AsyncClient, issuer: TestIssuer, path: str, role: str
) -> None:
    one = (await boss.create(URL))["destination_id"]
    other = Administrator(api, issuer, boss.tenant, role)
    assert code_of(await other.call("GET", path.format(one=one))) == (403, "not_tenant_admin")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://ris.example.org/events", "destination_host_not_allowed"),
        ("https://ris.example.org:8443/", "destination_host_not_allowed"),
        ("https://elsewhere.example.org/", "destination_host_not_allowed"),
        ("https://ris.example.org.evil.example/", "destination_host_not_allowed"),
        ("https://169.254.169.254/latest/meta-data", "destination_host_not_allowed"),
        ("https://[::1]/", "destination_host_not_allowed"),
        ("https://ris.example.org@evil.example/", "invalid_destination_url"),
        ("https://ris.example.org\\@evil.example/", "invalid_destination_url"),
        ("https://evil.example#@ris.example.org/", "invalid_destination_url"),
        ("ftp://ris.example.org/", "invalid_destination_url"),
        ("file:///etc/passwd", "invalid_destination_url"),
        ("https://ris.example.org/\r\nHost: evil.example", "invalid_destination_url"),
        ("https://ris.example.org:99999/", "invalid_destination_url"),
        ("nonsense", "invalid_destination_url"),
    ],
)
async def test_nothing_is_sent_to_where_the_platform_team_does_not_allow(
    boss: Administrator, url: str, code: str
) -> None:
    assert code_of(await boss.call("POST", json=WANTED | {"url": url})) == (422, code)
    destination = await boss.create(URL)
    path = f"/{destination['destination_id']}"
    assert code_of(await boss.call("PATCH", path, json={"url": url}, headers={"If-Match": "*"})) == (422, code)


@pytest.mark.parametrize(
    ("settings_of", "status", "code"),
    [
        (DestinationSettings(sealing=SOON.sealing), 409, "no_destination_hosts"),
        (DestinationSettings(hosts=(HOST,)), 503, "destinations_unavailable"),
    ],
)
async def test_what_the_installation_has_not_set_is_said(
    settings: ReportSettings, issuer: TestIssuer, settings_of: DestinationSettings, status: int, code: str
) -> None:
    async with serving(create_app(settings.model_copy(update={"destinations": settings_of}))) as client:
        answer = await Administrator(client, issuer, new_tenant()).call("POST", json=WANTED)
    assert code_of(answer) == (status, code)
    if status == 409:
        assert "RADRELAY_REPORT_DESTINATIONS__HOSTS" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "part"), [("PATCH", ""), ("DELETE", ""), ("POST", "/secret")])
async def test_whoever_changes_a_destination_has_seen_how_it_is(boss: Administrator, method: str, part: str) -> None:
    destination = await boss.create(URL)
    _, tag = await boss.get(destination)
    await boss.change(destination, name="changed meanwhile")
    path, body = f"/{destination['destination_id']}{part}", {"json": {"name": "x"}} if method == "PATCH" else {}
    assert code_of(await boss.call(method, path, **body)) == (428, "if_match_required")
    stale: dict[str, Any] = {"headers": {"If-Match": tag}}
    assert code_of(await boss.call(method, path, **body, **stale)) == (412, "destination_changed")


async def test_a_tenant_has_so_many_and_no_more(boss: Administrator) -> None:
    for _ in range(MOST_A_TENANT):
        await boss.create(URL)
    assert code_of(await boss.call("POST", json=WANTED)) == (409, "too_many_destinations")


async def test_deliveries_come_in_pages_the_newest_first(boss: Administrator) -> None:
    destination = await boss.create(URL)
    events = [await boss.test(destination) for _ in range(5)]
    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await boss.call("GET", f"/{destination['destination_id']}/deliveries", params=query)).json()
        seen += [each["event_id"] for each in page["deliveries"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == events[::-1]
    path = f"/{destination['destination_id']}/deliveries"
    assert code_of(await boss.call("GET", path, params={"cursor": "bm8"})) == (400, "invalid_cursor")
