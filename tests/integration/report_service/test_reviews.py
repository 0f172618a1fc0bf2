"""Reviews over HTTP on a real PostgreSQL: who may, what is kept, and what two at once do."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from radrelay_shared.audit import AuditFact
from radrelay_shared.database import Database, DatabaseSettings, Scope
from radrelay_shared.events import ReportReviewed, parse_event
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.report import Report
from report_service.handlers import persist_report
from support.databases import dsn
from support.events import inference_completed
from support.tenants import new_tenant
from support.tokens import TestIssuer

AGREE = {"verdict": "agree", "label": "finding_present"}
DISAGREE = {"verdict": "disagree", "label": "finding_absent"}
NOTE = "<b>seen</b> & discussed\nwith the ward"
REGION = {
    "frame_number": 1,
    "outline": {"shape": "ellipse", "center": [100.5, 80.0], "radii": [20.0, 10.0], "rotation_deg": 30.0},
}


@pytest.fixture
async def report(database: Database) -> Report:
    store = PostgresReportStore(database)
    event = inference_completed(tenant=new_tenant())
    _, made = await persist_report(event, reports=store, now=lambda: datetime.now(UTC))
    return made


class Reviewer:
    """One caller and one report."""

    def __init__(self, client: httpx.AsyncClient, issuer: TestIssuer, report: Report, user: str, *roles: str) -> None:
        self._client = client
        self._path = f"/v1/reports/{report.report_id}"
        self._bearer = issuer.bearer(report.tenant, user, roles or ("clinician",))

    async def get(self, part: str = "", **parameters: Any) -> httpx.Response:
        return await self._client.get(f"{self._path}{part}", params=parameters, headers=self._bearer)

    async def put(self, body: dict[str, Any], if_match: str | None) -> httpx.Response:
        headers = self._bearer | ({} if if_match is None else {"If-Match": if_match})
        return await self._client.put(f"{self._path}/review", json=body, headers=headers)

    async def review(self, body: dict[str, Any]) -> httpx.Response:
        """As a person does: read, then say."""
        return await self.put(body, (await self.get()).headers["etag"])


def assert_problem(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


async def raw(database: Database, tenant: str, statement: str) -> list[Any]:
    async with database.transaction(Scope.service(tenant)) as session:
        return list((await session.execute(text(statement))).scalars())


async def test_a_review_is_kept_as_it_was_given_and_each_version_with_it(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, database: Database
) -> None:
    owner = Reviewer(client, issuer, report, "dr-a")
    assert_problem(await owner.get("/review"), 404, "review_not_found")
    first = await owner.review(AGREE | {"note": NOTE, "region": REGION})
    assert first.status_code == 200, first.text
    assert first.json() == AGREE | {
        "report_id": str(report.report_id),
        "version": 1,
        "note": NOTE,
        "region": REGION,
        "reviewer": "dr-a",
        "reviewed_at": first.json()["reviewed_at"],
    }
    boss = Reviewer(client, issuer, report, "boss", "tenant_admin")
    second = await boss.put(DISAGREE, first.headers["etag"])
    assert (second.json()["version"], second.json()["note"], second.json()["region"]) == (2, None, None)
    assert (await owner.get("/review")).json() == second.json()
    assert (await owner.get("/review/versions")).json() == {
        "reviews": [second.json(), first.json()],
        "next_before": None,
    }
    newest = (await owner.get("/review/versions", limit=1)).json()
    assert (newest["reviews"], newest["next_before"]) == ([second.json()], 2)
    assert (await owner.get("/review/versions", limit=1, before=2)).json()["reviews"] == [first.json()]
    assert await raw(database, report.tenant, "SELECT review_state FROM report.reports") == ["disagree"]


async def test_a_review_is_announced_without_its_note_and_recorded_with_who_made_and_read_it(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, database: Database, system: Database
) -> None:
    owner = Reviewer(client, issuer, report, "dr-a")
    await owner.review(AGREE | {"note": NOTE})
    await owner.review(DISAGREE)
    await owner.get("/review")
    async with system.system_transaction() as session:
        question = "SELECT payload FROM report.outbox WHERE tenant = :tenant ORDER BY created_at"
        payloads = list((await session.execute(text(question), {"tenant": report.tenant})).scalars())
    assert not [each for each in payloads if b"ward" in each]
    told = [event.data for event in map(parse_event, payloads) if isinstance(event.data, ReportReviewed)]
    assert [(each.review_version, each.verdict, each.previous_verdict) for each in told] == [
        (1, "agree", None),
        (2, "disagree", "agree"),
    ]
    async with PostgresReportStore(database).transaction(Scope.service(report.tenant)) as unit:
        facts: list[AuditFact] = [record.fact for record in await unit.audit_records(0, 100)]
    assert [(fact.actor, fact.action) for fact in facts if fact.action != "report.read"] == [
        ("dr-a", "report.reviewed"),
        ("dr-a", "report.reviewed"),
        ("dr-a", "review.read"),
    ]
    assert {fact.report_id for fact in facts} == {report.report_id}


async def test_who_has_not_seen_what_stands_changes_nothing(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report
) -> None:
    owner = Reviewer(client, issuer, report, "dr-a")
    unreviewed = (await owner.get()).headers["etag"]
    assert_problem(await owner.put(AGREE, None), 428, "if_match_required")
    for stale in ("*", '"other"', f"W/{unreviewed}"):
        assert_problem(await owner.put(AGREE, stale), 412, "review_changed")
    first = await owner.put(AGREE, unreviewed)
    assert_problem(await owner.put(DISAGREE, unreviewed), 412, "review_changed")
    current = {(await owner.get(part)).headers["etag"] for part in ("", "/review")}
    assert current == {first.headers["etag"]} != {unreviewed}
    assert (await owner.put(DISAGREE, f'"other", {first.headers["etag"]}')).json()["version"] == 2


async def test_of_many_who_saw_the_same_one_is_heard(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report
) -> None:
    owner, boss = Reviewer(client, issuer, report, "dr-a"), Reviewer(client, issuer, report, "boss", "tenant_admin")
    seen = (await owner.get()).headers["etag"]
    answers = await asyncio.gather(*(each.put(AGREE, seen) for each in (owner, boss) * 5))
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 9]
    assert [each["version"] for each in (await owner.get("/review/versions")).json()["reviews"]] == [1]


async def test_who_does_not_see_a_report_does_not_review_it(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report
) -> None:
    tag = (await Reviewer(client, issuer, report, "dr-a").get()).headers["etag"]
    for user, roles in (("dr-b", ("clinician",)), ("dr-b", ("clinician", "service"))):
        stranger = Reviewer(client, issuer, report, user, *roles)
        assert_problem(await stranger.put(AGREE, tag), 404, "report_not_found")
        for part in ("/review", "/review/versions"):
            assert_problem(await stranger.get(part), 404, "report_not_found")
    elsewhere = issuer.bearer(new_tenant(), "dr-a", ("tenant_admin",))
    answer = await client.get(f"/v1/reports/{report.report_id}/review", headers=elsewhere)
    assert_problem(answer, 404, "report_not_found")
    machine = Reviewer(client, issuer, report, "dr-a", "service")
    assert_problem(await machine.put(AGREE, tag), 403, "not_a_reviewer")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"label": "bleeding"}, "invalid_request"),
        ({"label": "finding_absent"}, "contradictory_review"),
        ({"note": "a\0b"}, "unstorable_note"),
        ({"note": "x" * 4001}, "invalid_request"),
        ({"verdict": "maybe"}, "invalid_request"),
        ({"region": REGION | {"frame_number": 0}}, "invalid_request"),
        (
            {"region": {"frame_number": 1, "outline": {"shape": "polygon", "points": [[0, 0], [513, 0], [0, 9]]}}},
            "region_outside_image",
        ),
    ],
)
async def test_a_review_that_cannot_be_is_told_so(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, changes: dict[str, Any], code: str
) -> None:
    assert_problem(await Reviewer(client, issuer, report, "dr-a").review(AGREE | changes), 422, code)


async def test_no_role_changes_or_removes_a_version(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, report_database: DatabaseSettings
) -> None:
    assert (await Reviewer(client, issuer, report, "dr-a").review(AGREE)).status_code == 200
    for url, refusal in (
        (report_database.app_url, asyncpg.InsufficientPrivilegeError),
        (report_database.system_url, asyncpg.InsufficientPrivilegeError),
        (report_database.owner_url, asyncpg.RaiseError),
    ):
        connection = await asyncpg.connect(dsn(url))
        try:
            for statement in ("UPDATE report.reviews SET note = ''", "TRUNCATE report.reviews"):
                with pytest.raises(refusal):
                    await connection.execute(statement)
        finally:
            await connection.close()
