"""Who studies are of: read after the report, sealed, found by those who may see it, and nowhere else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from sqlalchemy import func, make_url, select, update

from radrelay_shared.database import Database, Scope
from radrelay_shared.messaging import Publisher, connect, ensure_topology
from radrelay_shared.objects import S3ObjectStore
from radrelay_shared.sandbox import Sandbox
from report_service import bootstrap
from report_service.adapters.patients import PostgresWaitingStudies, SandboxedPatientReader
from report_service.adapters.postgres import PostgresReportStore
from report_service.adapters.reading import STUDIES
from report_service.adapters.tables import StudyRow
from report_service.domain.patients import Patient, PatientVaults
from report_service.domain.report import Report
from report_service.handlers import persist_report
from report_service.main import create_app
from report_service.patient_handlers import PatientReading
from report_service.reseal import reseal_all
from report_service.settings import PatientKeys, ReportSettings
from support.asgi import serving
from support.dicom_files import encode, image
from support.events import inference_completed
from support.patients import new_key, patient_keys
from support.stack import Infrastructure
from support.tenants import new_tenant
from support.tokens import TestIssuer
from support.workers import working

PATIENT_ID = "PAT-CANARY-7301"


def dicom_of(patient_id: str | None, issuer: str | None = None) -> bytes:
    dataset = image()
    if patient_id is not None:
        dataset.PatientID = patient_id
    if issuer is not None:
        dataset.IssuerOfPatientID = issuer
    return encode(dataset)


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(processes=1, timeout_s=30, memory_bytes=1 << 30, preload=["radrelay_imaging"]) as running:
        yield running


@dataclass(frozen=True)
class Hospital:
    """A tenant with keys, and a worker's job of reading its patients."""

    tenant: str
    keys: PatientKeys
    store: PostgresReportStore
    reading: PatientReading
    settings: ReportSettings
    issuer: TestIssuer

    async def report(self, content: bytes | None, **changes: Any) -> Report:
        """A report of an image whose file is this; None: there is none."""
        event = inference_completed(tenant=self.tenant, **changes)
        if content is not None:
            await self.reading.objects.put(event.data.source_key, content, content_type="application/dicom")
        _, report = await persist_report(event, reports=self.store, now=lambda: datetime.now(UTC))
        return report

    @asynccontextmanager
    async def api(self, keys: PatientKeys | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """The API with these keys, asked by dr-a."""
        patients = {self.tenant: keys or self.keys}
        async with serving(create_app(self.settings.model_copy(update={"patients": patients}))) as client:
            client.headers.update(self.issuer.bearer(self.tenant, "dr-a"))
            yield client


@pytest.fixture
def hospital(
    database: Database,
    system: Database,
    objects: S3ObjectStore,
    sandbox: Sandbox,
    settings: ReportSettings,
    issuer: TestIssuer,
) -> Hospital:
    tenant, keys, store = new_tenant(), patient_keys(), PostgresReportStore(database)
    reading = PatientReading(
        waiting=PostgresWaitingStudies(system),
        store=store,
        objects=objects,
        reader=SandboxedPatientReader(sandbox),
        vaults=PatientVaults({tenant: keys.vault(tenant)}),
        max_attempts=2,
    )
    return Hospital(tenant, keys, store, reading, settings, issuer)


async def found(client: httpx.AsyncClient, patient_id: str, path: str = "/v1/worklist/search") -> list[str]:
    response = await client.post(path, json={"patient_id": patient_id})
    assert response.status_code == 200, response.text
    return [report["report_id"] for report in response.json()["reports"]]


async def test_a_study_is_found_by_its_patient_and_shows_them_to_whom_it_may(hospital: Hospital) -> None:
    report = await hospital.report(dicom_of(PATIENT_ID, "North"))
    others = await hospital.report(dicom_of(PATIENT_ID), owner_id="dr-b")
    await hospital.report(dicom_of("PAT-2"))
    await hospital.report(dicom_of(None))
    await hospital.reading.work()
    async with hospital.api() as client:
        assert await found(client, f" {PATIENT_ID} ") == [str(report.report_id)]
        assert await found(client, "PAT-3") == []
        view = (await client.get(f"/v1/reports/{report.report_id}")).json()
        study = (await client.get(f"/v1/studies/{report.study_instance_uid}")).json()
        assert view["patient"] == study["patient"] == {"patient_id": PATIENT_ID, "issuer": "North"}
        history = (await client.post("/v1/patients/history", json={"patient_id": PATIENT_ID})).json()
        assert [entry["study_instance_uid"] for entry in history["entries"]] == [report.study_instance_uid]
        client.headers.update(hospital.issuer.bearer(hospital.tenant, "boss", ("tenant_admin",)))
        assert set(await found(client, PATIENT_ID)) == {str(report.report_id), str(others.report_id)}


async def test_no_identifier_lies_open_in_the_database_or_the_logs(
    hospital: Hospital, infra: Infrastructure, settings: ReportSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await hospital.report(dicom_of(PATIENT_ID))
    await hospital.reading.work()
    async with hospital.api() as client:
        assert len(await found(client, PATIENT_ID)) == 1
        assert (
            await client.post("/v1/worklist/search", json={"patient_id": PATIENT_ID, "limit": 0})
        ).status_code == 422
        refused = await client.post("/v1/worklist/search", json={"patient_id": f"{PATIENT_ID}{'0' * 64}"})
    assert PATIENT_ID not in refused.text
    assert PATIENT_ID not in caplog.text
    name = make_url(settings.database.app_url.get_secret_value()).database
    address = make_url(infra.postgres_admin_url).set(database=name).render_as_string(hide_password=False)
    connection = await asyncpg.connect(address)
    try:
        for table in ("studies", "series", "instances", "kinds", "reports", "audit", "inbox", "outbox"):
            statement = (
                f"SELECT row_to_json(t)::text AS row FROM report.{table} t WHERE tenant = $1"  # the names are above
            )
            rows = await connection.fetch(statement, hospital.tenant)
            text = "".join(row["row"] for row in rows)
            assert PATIENT_ID not in text
            assert PATIENT_ID.encode().hex() not in text
    finally:
        await connection.close()


async def test_the_worker_reads_patients_beside_its_other_work(hospital: Hospital, objects: S3ObjectStore) -> None:
    settings = hospital.settings.model_copy(update={"patients": {hospital.tenant: hospital.keys}})
    event = inference_completed(tenant=hospital.tenant)
    await objects.put(event.data.source_key, dicom_of(PATIENT_ID), content_type="application/dicom")
    async with (
        working(partial(bootstrap.open_worker, settings)),
        connect(settings.nats, name="test") as client,
        hospital.api() as api,
    ):
        await ensure_topology(client.jetstream(), settings.nats.streams)
        await Publisher(client.jetstream()).publish(event)
        async with asyncio.timeout(30):
            while not await found(api, PATIENT_ID):
                await asyncio.sleep(0.05)


async def test_a_tenant_without_keys_keeps_no_patient_and_is_told_so(hospital: Hospital, issuer: TestIssuer) -> None:
    without = replace(hospital, tenant=new_tenant())
    report = await without.report(dicom_of(PATIENT_ID))
    await without.reading.work()
    async with hospital.api() as client:
        client.headers.update(issuer.bearer(without.tenant, "dr-a"))
        for path in ("/v1/worklist/search", "/v1/worklist/counts", "/v1/patients/history"):
            response = await client.post(path, json={"patient_id": PATIENT_ID})
            assert (response.status_code, response.json()["code"]) == (409, "patients_not_kept")
        assert (await client.get(f"/v1/reports/{report.report_id}")).json()["patient"] is None
    assert await kept(without) == []


async def kept(hospital: Hospital) -> list[Any]:
    async with hospital.store.patients(Scope.service(hospital.tenant)) as patients:
        return list(await patients.sealed_after(UUID(int=0), 100))


async def test_an_image_that_cannot_be_had_is_tried_again_later_and_then_given_up(
    hospital: Hospital, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    report = await hospital.report(None)
    for attempts in (1, 2):
        await hospital.reading.work()
        assert await state(database, report) == ("object_not_found", attempts, attempts < 2)
        await make_due(database, report)
    assert "the patient of a study cannot be read" in caplog.text
    assert await kept(hospital) == []


async def test_another_image_of_the_study_says_what_the_first_does_not(hospital: Hospital, database: Database) -> None:
    report = await hospital.report(None)
    together = {"study_instance_uid": report.study_instance_uid}
    await hospital.report(dicom_of(PATIENT_ID), **together)
    for _ in range(2):
        await hospital.reading.work()
        await make_due(database, report)
    assert len(await kept(hospital)) == 1


async def test_a_file_that_is_none_costs_its_own_study_only(hospital: Hospital, database: Database) -> None:
    broken = await hospital.report(b"no DICOM file")
    await hospital.report(dicom_of(PATIENT_ID))
    await hospital.reading.work()
    assert await state(database, broken) == ("not_dicom", 1, True)
    assert len(await kept(hospital)) == 1


async def test_a_worker_that_was_killed_while_reading_leaves_the_study_to_the_next(
    hospital: Hospital, database: Database
) -> None:
    report = await hospital.report(dicom_of(PATIENT_ID))

    dying = replace(hospital.reading, reader=DyingReader())
    with pytest.raises(ExceptionGroup):
        await dying.work()
    await hospital.reading.work()
    assert await kept(hospital) == [], "it is claimed for a while"
    await make_due(database, report)
    await hospital.reading.work()
    assert len(await kept(hospital)) == 1


class DyingReader:
    """A reader that takes its worker with it."""

    async def read(self, path: Path) -> Patient | None:
        raise ConnectionError(path.name)


async def test_after_sealing_anew_the_old_key_can_go(hospital: Hospital) -> None:
    for number in range(3):
        await hospital.report(dicom_of(f"PAT-{number}"))
    await hospital.reading.work()
    new = new_key()
    rotating = PatientKeys(sealing=[new, *hospital.keys.sealing], search=hospital.keys.search)
    only_new = PatientKeys(sealing=[new], search=hospital.keys.search)
    async with hospital.api(only_new) as client:
        assert len(await found(client, "PAT-1")) == 1, "found by a key that stayed"
        assert (await client.get("/v1/reports")).json()["reports"][0]["patient"] is None
    settings = hospital.settings.model_copy(update={"patients": {hospital.tenant: rotating}})
    assert await reseal_all(settings) == {hospital.tenant: 3}
    assert await reseal_all(settings) == {hospital.tenant: 0}
    async with hospital.api(only_new) as client:
        reports = (await client.get("/v1/reports")).json()["reports"]
        assert {report["patient"]["patient_id"] for report in reports} == {"PAT-0", "PAT-1", "PAT-2"}


async def test_sealing_anew_also_follows_a_new_key_to_search_by(hospital: Hospital) -> None:
    await hospital.report(dicom_of(PATIENT_ID))
    await hospital.reading.work()
    searched = PatientKeys(sealing=hospital.keys.sealing, search=new_key())
    async with hospital.api(searched) as client:
        assert await found(client, PATIENT_ID) == []
        settings = hospital.settings.model_copy(update={"patients": {hospital.tenant: searched}})
        assert await reseal_all(settings) == {hospital.tenant: 1}
        assert len(await found(client, PATIENT_ID)) == 1


async def state(database: Database, report: Report) -> tuple[str | None, int, bool]:
    """Why the patient could not be read, how often, and whether it will be tried again."""
    columns = (STUDIES.patient_fault, STUDIES.patient_attempts, STUDIES.patient_due_at.is_not(None))
    async with database.transaction(Scope.service(report.tenant)) as session:
        fault, attempts, is_due = (
            await session.execute(select(*columns).where(STUDIES.study_id == report.study_id))
        ).one()
    return fault, attempts, is_due


async def make_due(database: Database, report: Report) -> None:
    """Let the time pass that is left until the next attempt, where there is to be one."""
    later = update(StudyRow).where(StudyRow.study_id == report.study_id, StudyRow.patient_due_at.is_not(None))
    async with database.transaction(Scope.service(report.tenant)) as session:
        await session.execute(later.values(patient_due_at=func.now()))
