"""After a study is erased nothing of it is left: in no table of either schema, in no version of any object.

Intake and the report service run with their workers on one broker and object store; what a model would have said is
published by the test. Our own identifiers stay in the audit chains alone, the patient's nowhere.
"""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from nats.js import JetStreamContext
from pydantic import SecretStr

import ingest_service.main
import ingest_service.worker
import report_service.bootstrap
import report_service.main
from ingest_service.settings import DeidentificationSettings, IngestSettings
from radrelay_shared.database import DatabaseSettings
from radrelay_shared.messaging import NatsSettings, Publisher, connect, ensure_topology
from radrelay_shared.objects import S3ObjectStore, keys, open_clients
from radrelay_shared.process import Jobs
from report_service.settings import ErasureSettings, ReportSettings
from support.databases import dsn
from support.destinations import SOON, Administrator
from support.dicom_files import encode, image, new_uid
from support.events import inference_completed
from support.ingest_api import IngestUser
from support.receivers import receiving_events
from support.serving import served
from support.stack import Infrastructure, ProvisionedDatabases
from support.tenants import new_tenant
from support.tokens import TestIssuer
from support.workers import working

NOTE: Final = "NOTE-CANARY"
LABEL: Final = "LABEL-CANARY"
SOON_S: Final = 0.2


@dataclass(frozen=True)
class Site:
    """Both services at work."""

    ingest: httpx.AsyncClient
    reports: httpx.AsyncClient
    issuer: TestIssuer
    publisher: Publisher
    objects: S3ObjectStore
    infra: Infrastructure
    admins: dict[str, asyncpg.Connection]
    """By schema: connections past row security."""
    identified: str
    pseudonymous: str
    """Tenants: one keeps files as they come, the other de-identifies them."""


@pytest.fixture
async def js(infra: Infrastructure) -> AsyncIterator[JetStreamContext]:
    settings = NatsSettings(url=infra.nats_url)
    async with connect(settings, name="test") as client:
        context = client.jetstream()
        await ensure_topology(context, settings.streams)
        yield context


@pytest.fixture
async def site(
    infra: Infrastructure, provisioned: ProvisionedDatabases, issuer: TestIssuer, js: JetStreamContext
) -> AsyncIterator[Site]:
    identified, pseudonymous = new_tenant(), new_tenant()
    key = SecretStr(base64.b64encode(os.urandom(32)).decode())
    common: dict[str, Any] = {
        "nats": NatsSettings(url=infra.nats_url),
        "objects": infra.objects,
        "auth": issuer.settings,
    }
    ingest = IngestSettings(
        **common,
        database=provisioned("ingest"),
        sweep_interval_s=SOON_S,
        deidentification={pseudonymous: DeidentificationSettings(mode="basic", key=key)},
    )
    reports = ReportSettings(
        **common,
        database=provisioned("report"),
        erasure=ErasureSettings(interval_s=SOON_S, grace_s=0.0),
        destinations=SOON,
    )

    async def open_intake_worker(stack: AsyncExitStack, stop: asyncio.Event) -> Jobs:
        return await stack.enter_async_context(ingest_service.worker.start(ingest, stop))

    async with (
        working(open_intake_worker),
        working(partial(report_service.bootstrap.open_worker, reports)),
        S3ObjectStore(infra.objects) as objects,
        _client(ingest_service.main.create_app(ingest)) as ingest_client,
        _client(report_service.main.create_app(reports)) as report_client,
        _admin(infra, ingest.database) as ingest_admin,
        _admin(infra, reports.database) as report_admin,
    ):
        admins = {"ingest": ingest_admin, "report": report_admin}
        publisher = Publisher(js)
        yield Site(ingest_client, report_client, issuer, publisher, objects, infra, admins, identified, pseudonymous)


@asynccontextmanager
async def _client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with served(app) as address, httpx.AsyncClient(base_url=address, timeout=30) as client:
        yield client


@asynccontextmanager
async def _admin(infra: Infrastructure, urls: DatabaseSettings) -> AsyncIterator[asyncpg.Connection]:
    name = dsn(urls.app_url).rsplit("/", 1)[1]
    connection = await asyncpg.connect(f"{infra.postgres_admin_url.rsplit('/', 1)[0]}/{name}")
    try:
        yield connection
    finally:
        await connection.close()


class Patient:
    """One patient's study of two images at a site, and everything to look for afterwards."""

    def __init__(self, site: Site, tenant: str) -> None:
        self._site, self.tenant = site, tenant
        self._doctor = IngestUser(site.ingest, site.issuer.bearer(tenant, "dr-a"))
        self.patient_id, self._study_uid, self._series_uid = f"PID-{uuid4().hex}", new_uid(), new_uid()
        self._file = f"FILE-{uuid4().hex}"
        self.instance_ids: list[UUID] = []
        self.stored_study_uid = ""
        self._uids: set[str] = set()
        self._batch_id = ""

    def canaries(self) -> set[str]:
        """What stands for the patient and the images, and is not to be found afterwards."""
        ids = set(map(str, self.instance_ids))
        return {self.patient_id, self._study_uid, self._series_uid, self._file} | self._uids | ids

    async def scan(self) -> None:
        """Two images arrive; one is reported, reviewed and drawn, and the other waits for a model."""
        await self._send()
        rows = await self._site.admins["ingest"].fetch(
            "SELECT * FROM ingest.instance WHERE instance_id = ANY($1)", self.instance_ids
        )
        for row in rows:
            self._uids |= {row["sop_instance_uid"], row["study_instance_uid"], row["series_instance_uid"]}
        self.stored_study_uid = rows[0]["study_instance_uid"]
        await self._report(rows[0])

    async def _send(self) -> None:
        files = {}
        for number in range(2):
            dataset = image()
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = self._study_uid, self._series_uid
            dataset.PatientID = self.patient_id
            self._uids.add(dataset.SOPInstanceUID)
            files[f"{self._file}-{number}.dcm"] = encode(dataset)
        self._batch_id = await self._doctor.open_batch(label=LABEL)
        parts = [("files", (name, content, "application/dicom")) for name, content in files.items()]
        path = f"/{self._batch_id}/files"
        answer = await self._doctor.call("POST", path, files=parts, headers={"Idempotency-Key": uuid4().hex})
        assert answer.status_code == 200, answer.text
        self.instance_ids = [UUID(each["instance_id"]) for each in answer.json()["accepted"]]
        assert len(self.instance_ids) == 2

    async def _report(self, row: asyncpg.Record) -> None:
        names = ("sop_instance_uid", "sop_class_uid", "study_instance_uid", "series_instance_uid", "modality")
        result = inference_completed(
            tenant=self.tenant,
            instance_id=row["instance_id"],
            batch_id=row["batch_id"],
            source_key=row["object_key"],
            received_at=row["received_at"],
            **{name: row[name] for name in names},
        )
        await self._site.publisher.publish(result)
        async with asyncio.timeout(20):
            while not (report_id := await self._report_id(row["instance_id"])):
                await asyncio.sleep(0.02)
        objects = self._site.objects
        for _ in range(2):
            # Each time another version.
            await objects.put(
                f"{keys.renderings(self.tenant, report_id)}x.png", os.urandom(8), content_type="image/png"
            )
            await objects.put(row["object_key"], await objects.get(row["object_key"]), content_type="application/dicom")
        shadow = keys.shadow(self.tenant, row["instance_id"], "sha256:" + "a" * 64)
        await objects.put(shadow, b"{}", content_type="application/json")
        headers = self._site.issuer.bearer(self.tenant, "dr-a")
        path = f"/v1/reports/{report_id}"
        tag = (await self._site.reports.get(path, headers=headers)).headers["etag"]
        body = {"verdict": "unsure", "label": "not_assessable", "note": NOTE}
        reviewed = await self._site.reports.put(f"{path}/review", json=body, headers=headers | {"If-Match": tag})
        assert reviewed.status_code == 200, reviewed.text

    async def _report_id(self, instance_id: UUID) -> UUID | None:
        files = (await self._doctor.files(self._batch_id)).values()
        found = [each["report_id"] for each in files if each["instance_id"] == str(instance_id)]
        return UUID(found[0]) if found[0] else None


async def erase(site: Site, tenant: str, study_instance_uid: str) -> None:
    """Ask for it, and wait until both services have nothing left to do."""
    headers = site.issuer.bearer(tenant, "boss", ("tenant_admin",))
    body = {"kind": "study", "study_instance_uid": study_instance_uid, "reason": "patient_request"}
    asked = await site.reports.post("/v1/erasures", json=body, headers=headers)
    assert asked.status_code == 202, asked.text
    (erasure,) = asked.json()["erasures"]
    address = f"/v1/erasures/{erasure['erasure_id']}"
    async with asyncio.timeout(30):
        while (await site.reports.get(address, headers=headers)).json()["state"] != "done":
            await asyncio.sleep(0.05)
        question = "SELECT count(*) FROM ingest.instance WHERE tenant = $1 AND study_instance_uid = $2"
        while await site.admins["ingest"].fetchval(question, tenant, study_instance_uid):
            await asyncio.sleep(0.05)
        while await site.admins["ingest"].fetchval("SELECT count(*) FROM ingest.erasure_leftover"):
            await asyncio.sleep(0.05)


async def found_in_tables(site: Site, tenant: str, canaries: set[str]) -> set[str]:
    """Tables that hold a canary in any column of a row of the tenant, binary ones too."""
    found = set()
    for schema, admin in site.admins.items():
        tables = await admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema)
        for (table,) in tables:
            if table == "alembic_version":
                continue
            rows = await admin.fetch(
                f"SELECT row_to_json(r)::text AS content FROM {schema}.{table} r WHERE tenant = $1", tenant
            )
            text = "\n".join(row["content"] for row in rows)
            if any(each in text or each.encode().hex() in text for each in canaries):
                found.add(f"{schema}.{table}")
    return found


def versions_of(site: Site, tenant: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of every version of every object of the tenant; marks of deleted ones are empty."""
    client = open_clients(site.infra.objects).minio
    bucket = f"{site.infra.objects.bucket_prefix}-{tenant}"
    for each in client.list_objects(bucket_name=bucket, recursive=True, include_version=True):
        name, content = str(each.object_name), b""
        if not each.is_delete_marker:
            response = client.get_object(bucket_name=bucket, object_name=name, version_id=each.version_id)
            content = response.read()
            response.close()
            response.release_conn()
        yield name, content


async def found_in_objects(site: Site, tenant: str, canaries: set[str]) -> list[str]:
    """Objects with a canary in the name or in any version, once for each version."""
    versions = await asyncio.to_thread(lambda: list(versions_of(site, tenant)))
    return [name for name, content in versions if any(each in name or each.encode() in content for each in canaries)]


@pytest.mark.parametrize("kept_as", ["identified", "pseudonymous"])
async def test_of_an_erased_study_nothing_is_left_and_another_patient_keeps_everything(
    site: Site, kept_as: str
) -> None:
    tenant: str = getattr(site, kept_as)
    boss = Administrator(site.reports, site.issuer, tenant)
    takes_nothing = await boss.create("http://127.0.0.1:1/", ["report.created", "report.reviewed"])
    with receiving_events() as receiver:
        takes_all = await boss.create(receiver.url)
        gone, kept = Patient(site, tenant), Patient(site, tenant)
        await gone.scan()
        await kept.scan()
        await boss.until(takes_all, "delivered", 4)
        await check_that_nothing_is_left(site, gone, kept, are_mapped=kept_as == "pseudonymous")
        told = await boss.until(takes_all, "delivered", 3)
    erased = [each for each in told if each["event_type"] == "org.radrelay.report.erased.v1"]
    assert len(erased) == 1, "who was told of the report is told that it is gone"
    assert len(await boss.deliveries(takes_nothing)) == 2, "the other patient's"


async def check_that_nothing_is_left(site: Site, gone: Patient, kept: Patient, *, are_mapped: bool) -> None:
    tenant = gone.tenant
    pseudonyms = "SELECT count(*) FROM ingest.pseudonym WHERE tenant = $1"
    assert await site.admins["ingest"].fetchval(pseudonyms, tenant) == (2 if are_mapped else 0)
    before_objects = await found_in_objects(site, tenant, gone.canaries())
    assert len(before_objects) >= 5, "two images, one of them in three versions, and what a model on trial said"
    written = {"ingest.instance", "ingest.outbox", "report.reports", "report.outbox", "report.deliveries"}
    assert written <= await found_in_tables(site, tenant, gone.canaries())
    of_the_other = await found_in_tables(site, tenant, kept.canaries())

    await erase(site, tenant, gone.stored_study_uid)

    assert await found_in_tables(site, tenant, gone.canaries()) == {"ingest.audit", "report.audit"}
    ids = set(map(str, gone.instance_ids))
    assert await found_in_tables(site, tenant, gone.canaries() - ids) == set(), "no audit chain names the patient"
    assert await found_in_objects(site, tenant, gone.canaries()) == []
    assert await site.admins["ingest"].fetchval(pseudonyms, tenant) == (1 if are_mapped else 0)
    for table, column, canary in (("ingest.batch", "label", LABEL), ("report.reviews", "note", NOTE)):
        admin = site.admins[table.partition(".")[0]]
        question = f"SELECT count(*) FROM {table} WHERE tenant = $1 AND {column} = $2"
        assert await admin.fetchval(question, tenant, canary) == 1, "the other patient's"
    pictures = [name for name, _ in await asyncio.to_thread(lambda: list(versions_of(site, tenant)))]
    assert len([name for name in pictures if name.startswith("renderings/")]) == 2, "the other patient's, two versions"
    assert await found_in_tables(site, tenant, kept.canaries()) == of_the_other
    chain = await site.admins["ingest"].fetch(
        "SELECT instance_id FROM ingest.audit WHERE tenant = $1 AND action = 'instance.erased'", tenant
    )
    assert {row["instance_id"] for row in chain} == set(gone.instance_ids)
    told = await site.admins["report"].fetch("SELECT payload FROM report.outbox WHERE tenant = $1", tenant)
    assert "org.radrelay.report.erased.v1" not in {json.loads(row["payload"])["type"] for row in told}
