"""What owners have in each service: made as the product makes it, and named as paths name it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx

from dashboard_service.adapters.counting import PostgresCountStore
from dashboard_service.handlers.counting import count_event
from dashboard_service.settings import TimeZones
from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Verdict
from radrelay_shared.objects import S3ObjectStore
from report_service.adapters.links import LinkSigner
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.erasure import ErasureReason, Target
from report_service.domain.pictures import PictureKind, PictureRequest
from report_service.domain.review import Judgement, Label
from report_service.erasing import request_erasures
from report_service.handlers import persist_report
from report_service.links import LinkGrant
from report_service.reviewing import review_report
from support.applications import LINK_KEYS
from support.authorization.matrix import NOT_ASKED, RELATIONS, ROLES, Row
from support.authorization.requests import REQUESTS, STUDY_UID, UPLOAD_BYTES
from support.destinations import failing_destination
from support.dicom_files import dicom_file, new_uid
from support.events import inference_completed, report_created
from support.ingest_api import IngestUser
from support.tokens import TestIssuer
from support.tus import begin

Things = dict[str, str]
"""Identifiers, by the names that they have in paths."""
Make = Callable[[str, str], Awaitable[Things]]
"""Makes one of each kind, for a tenant and an owner."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SHOWN: Final = {"lists": True, "hides": False}
OWNER: Final = "dr-a"


def of_ingest(client: httpx.AsyncClient, issuer: TestIssuer) -> Make:
    """An open batch with a rejected file and a resumable upload."""

    async def make(tenant: str, owner: str) -> Things:
        user = IngestUser(client, issuer.bearer(tenant, owner))
        batch_id = await user.open_batch()
        await user.upload(batch_id, {"b.dcm": b"no"})
        path = "/v1/rejected-files"
        listed = await user.request("GET", path, params={"batch_id": batch_id})
        (rejected,) = listed.json()["rejected_files"]
        upload = await begin(user, batch_id, UPLOAD_BYTES)
        return {
            "batch_id": batch_id,
            "rejected_id": rejected["rejected_id"],
            "upload_id": upload.rsplit("/", 1)[1],
        }

    return make


def of_report(database: Database, objects: S3ObjectStore) -> Make:
    """A report, with its image in the object store, its review and a link; an erasure of something else; and a
    destination, which something did not arrive at.
    """

    async def make(tenant: str, owner: str) -> Things:
        event = inference_completed(tenant=tenant, owner_id=owner)
        store = PostgresReportStore(database)
        _, report = await persist_report(event, reports=store, now=lambda: datetime.now(UTC))
        await objects.put(report.source_key, dicom_file(), content_type="application/dicom")
        scope = Scope(tenant, owner, "clinician")
        judgement = Judgement(Verdict.UNSURE, Label.NOT_ASSESSABLE, None, None)
        await review_report(report.report_id, judgement, is_current=lambda _: True, scope=scope, store=store)
        (erasure,) = await request_erasures(
            [Target(new_uid(), None)],
            ErasureReason.MISTAKE,
            scope=Scope(tenant, owner, "tenant_admin"),
            store=store,
        )
        destination_id, event_id = await failing_destination(database, tenant)
        grant = LinkGrant(
            scope,
            report.report_id,
            PictureRequest(PictureKind.IMAGE),
            datetime.now(UTC) + timedelta(hours=1),
        )
        return {
            "report_id": str(report.report_id),
            "study_instance_uid": report.study_instance_uid,
            "series_instance_uid": report.series_instance_uid,
            "erasure_id": str(erasure.erasure_id),
            "destination_id": destination_id,
            "event_id": event_id,
            "link": LinkSigner(LINK_KEYS).sign(grant),
        }

    return make


def of_dashboard(database: Database) -> Make:
    """A case that was counted."""

    async def make(tenant: str, owner: str) -> Things:
        event = report_created(tenant=tenant, owner_id=owner)
        await count_event(event, consumer="reports", counts=PostgresCountStore(database, TimeZones()))
        return {}

    return make


@dataclass(frozen=True)
class Site:
    """A service, and what two owners in each of two tenants have there."""

    client: httpx.AsyncClient
    issuer: TestIssuer
    make: Make
    tenants: tuple[str, str]
    things: Things
    """Of the owner whose things are asked for, in the first tenant."""
    identifiers: set[str]
    """All that this owner was ever given."""

    async def ask(self, row: Row, role: str | None, relation: str, things: Things) -> httpx.Response:
        """The answer to a caller who stands so to the owner; no body is read of a stream that has no end."""
        caller = {"own": (self.tenants[0], OWNER), "other owner": (self.tenants[0], "dr-b")}
        tenant, user = caller.get(relation, (self.tenants[1], OWNER))
        given = REQUESTS.get(row.route, {})
        headers = given.get("headers", {}) | (self.issuer.bearer(tenant, user, (role,)) if role else {})
        path = row.path.format(**{"study": STUDY_UID} | things)
        request = self.client.build_request(
            row.method, path, **given | {"headers": headers, "params": httpx.QueryParams(row.query)}
        )
        response = await self.client.send(request, stream=True)
        if "text/event-stream" not in response.headers.get("content-type", ""):
            await response.aread()
        await response.aclose()
        return response

    async def answers(self, row: Row, role: str, relation: str, expected: str) -> str:
        """What the answer is, in the words of the matrix."""
        changes = row.method not in _SAFE and expected.startswith("2")
        # What is done once cannot be done again: each caller who may do it has things of their own to do it to.
        response = await self.ask(row, role, relation, await self.made() if changes else self.things)
        if expected not in _SHOWN:
            return str(response.status_code)
        assert self.identifiers, f"{row.service}: nothing is known that a list could show"
        shown = any(identifier in response.text for identifier in self.identifiers)
        return ("lists" if shown else "hides") if response.status_code == 200 else str(response.status_code)

    async def made(self) -> Things:
        """New things of the owner whose things are asked for."""
        things = await self.make(self.tenants[0], OWNER)
        self.identifiers.update(things.values())
        return things


async def open_site(client: httpx.AsyncClient, issuer: TestIssuer, make: Make, tenants: tuple[str, str]) -> Site:
    """A service in which each of the four owners has something."""
    for tenant, owner in ((tenants[0], "dr-b"), (tenants[1], OWNER), (tenants[1], "dr-b")):
        await make(tenant, owner)
    site = Site(client, issuer, make, tenants, {}, set())
    site.things.update(await site.made())
    return site


async def mismatches(site: Site, row: Row) -> list[str]:
    """The cells of a row that the service does not answer as expected; those first in which nothing may be done."""
    asked = [
        (role, relation, cell)
        for role, cells in zip(ROLES, row.cells, strict=True)
        for relation, cell in zip(RELATIONS, cells, strict=True)
        if cell != NOT_ASKED
    ]
    found = [("no token", "own", row.no_token, str((await site.ask(row, None, "own", site.things)).status_code))]
    for role, relation, cell in sorted(asked, key=lambda each: each[2].startswith("2")):
        found.append((role, relation, cell, await site.answers(row, role, relation, cell)))
    return [
        f"{row}: {role}, {relation}: expected {expected}, answered {answered}"
        for role, relation, expected, answered in found
        if expected != answered
    ]
