"""What a crash, an outage or the passing of time leaves behind."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select

from ingest_service.adapters.records import PostgresRecords, PostgresTransaction
from ingest_service.adapters.survey import PostgresSurvey
from ingest_service.adapters.tables import AuditRow, Base, BatchFileRow, InstanceRow
from ingest_service.domain.archive import ArchivePlan, plan_archive
from ingest_service.domain.dicom import DicomFacts, validate_dicom
from ingest_service.domain.identity import instance_id_of
from ingest_service.domain.limits import ArchiveLimits, DicomLimits
from ingest_service.domain.model import Accepted
from ingest_service.handlers.batches import create_batch
from ingest_service.handlers.intake import SpooledFile, receive_file
from ingest_service.handlers.progress import apply_report
from ingest_service.handlers.sweeping import close_idle, fail_overdue
from ingest_service.ports import Intake, Records
from ingest_service.settings import IngestSettings
from radrelay_shared.audit import AuditFact
from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Urgency
from radrelay_shared.objects import S3ObjectStore, keys
from support.dicom_files import dicom_file
from support.events import report_created
from support.ingest_api import IngestUser, assert_problem
from support.intake import make_intake
from support.tenants import new_tenant
from support.tokens import TestIssuer

MakeUser = Callable[..., IngestUser]
Running = Callable[..., AbstractAsyncContextManager[None]]
Serving = Callable[..., AbstractAsyncContextManager[str]]


class InProcess:
    """The validator without its processes."""

    async def validate(self, path: Path) -> DicomFacts:
        return validate_dicom(path, DicomLimits())

    async def plan(self, path: Path) -> ArchivePlan:
        return plan_archive(path, ArchiveLimits())


class Killed(BaseException):
    """Stands for the end of the process: nothing handles it."""


class DiesBeforeCommit(PostgresRecords):
    """Ends in the last statement of a transaction that records a file."""

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[PostgresTransaction]:
        async with super().transaction(scope) as tx:

            async def die(*_: AuditFact) -> None:
                raise Killed

            tx.audit = die  # type: ignore[method-assign]  # planted
            yield tx


def spooled(folder: Path, content: bytes) -> SpooledFile:
    path = folder / hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    return SpooledFile("a.dcm", path, len(content), path.name)


async def rows(database: Database, tenant: str) -> dict[str, int]:
    """How many rows of each kind the tenant has."""
    async with database.transaction(Scope.service(tenant)) as session:
        tables = (InstanceRow, BatchFileRow, AuditRow)
        return {t.__tablename__: await session.scalar(select(func.count()).select_from(t)) or 0 for t in tables}


async def outbox(system: Database, tenant: str) -> int:
    table = Base.metadata.tables["ingest.outbox"]
    async with system.system_transaction() as session:
        return await session.scalar(select(func.count()).where(table.c.tenant == tenant)) or 0


async def test_a_crash_between_object_and_transaction_leaves_no_row_and_the_next_try_succeeds(
    database: Database, system: Database, objects: S3ObjectStore, tmp_path: Path
) -> None:
    tenant = new_tenant()
    caller = Scope(tenant, "dr-a", "clinician")
    records = PostgresRecords(database)
    batch = (await create_batch(records, caller, batch_id=uuid4(), label=None, priority=Urgency.ROUTINE)).batch
    file = spooled(tmp_path, dicom_file())
    before = await rows(database, tenant)

    def through(chosen: Records) -> Intake:
        return make_intake(chosen, objects, InProcess(), tmp_path)

    with pytest.raises(Killed):
        await receive_file(through(DiesBeforeCommit(database)), caller, batch, file)
    key = keys.instance(tenant, instance_id_of(tenant, "dr-a", file.sha256))
    assert await objects.stat(key) is not None
    assert await rows(database, tenant) == before == {"instance": 0, "batch_file": 0, "audit": 1}
    assert await outbox(system, tenant) == 0

    outcome = await receive_file(through(records), caller, batch, file)
    assert isinstance(outcome, Accepted)
    assert not outcome.repeated
    assert await rows(database, tenant) == {"instance": 1, "batch_file": 1, "audit": 2}
    assert await outbox(system, tenant) == 1


@pytest.fixture
def batch_of(issuer: TestIssuer) -> Callable[[str, str], IngestUser]:
    """A user of the API at an address."""

    def make(address: str, tenant: str) -> IngestUser:
        return IngestUser(httpx.AsyncClient(base_url=address, timeout=60), issuer.bearer(tenant, "dr-a"))

    return make


async def test_a_store_that_is_away_is_answered_503_and_nothing_is_recorded(
    settings: IngestSettings, serving: Serving, batch_of: Callable[[str, str], IngestUser], database: Database
) -> None:
    tenant = new_tenant()
    away = settings.objects.model_copy(update={"endpoint": "127.0.0.1:1"})
    async with serving(objects=away) as address:
        doctor = batch_of(address, tenant)
        batch_id = await doctor.open_batch()
        response = await doctor.send(batch_id, {"bad.dcm": b"no", "a.dcm": dicom_file()})
        problem = assert_problem(response, 503, "storage_unavailable")
        assert response.headers["retry-after"] == "5"
        assert problem["accepted"] == 0
        assert (await doctor.files(batch_id)).keys() <= {"bad.dcm"}
        assert assert_problem(await doctor.client.get("/readyz"), 503, "not_ready")["away"] == ["objects"]
        await doctor.client.aclose()
    assert (await rows(database, tenant))["instance"] == 0


async def test_a_database_that_is_away_is_answered_503_on_every_route(
    settings: IngestSettings, serving: Serving, batch_of: Callable[[str, str], IngestUser]
) -> None:
    url = "postgresql+asyncpg://ingest_app:x@127.0.0.1:1/radrelay"
    away = settings.database.model_copy(update={"app_url": url})
    async with serving(database=away) as address:
        doctor = batch_of(address, new_tenant())
        batch_id = "00000000-0000-0000-0000-000000000000"
        for method, path in (("POST", ""), ("GET", ""), ("GET", f"/{batch_id}"), ("GET", f"/{batch_id}/events")):
            response = await doctor.call(method, path, **({"json": {}} if method == "POST" else {}))
            assert_problem(response, 503, "storage_unavailable")
        assert (await doctor.client.get("/livez")).status_code == 200
        await doctor.client.aclose()


async def test_an_image_past_its_deadline_is_failed_and_a_report_still_wins(
    user: MakeUser, records: PostgresRecords, system: Database
) -> None:
    tenant = new_tenant()
    doctor = user(tenant)
    batch_id = await doctor.open_batch()
    (accepted,) = (await doctor.upload(batch_id, {"a.dcm": dicom_file()}, close=True))["accepted"]
    survey = PostgresSurvey(system)
    await fail_overdue(records, survey, deadline_s=3600)
    assert (await doctor.batch(batch_id))["state"] == "processing"
    while await fail_overdue(records, survey, deadline_s=0):
        pass
    file = (await doctor.files(batch_id))["a.dcm"]
    assert (file["status"], file["reason"]) == ("failed", "deadline_exceeded")
    assert (await doctor.batch(batch_id))["state"] == "done"
    await apply_report(
        records, report_created(tenant=tenant, instance_id=UUID(accepted["instance_id"])), consumer="test"
    )
    assert (await doctor.files(batch_id))["a.dcm"]["status"] == "reported"


async def test_an_idle_batch_is_closed_and_one_that_receives_is_not(
    user: MakeUser, records: PostgresRecords, system: Database
) -> None:
    doctor = user(new_tenant())
    idle, busy = await doctor.open_batch(), await doctor.open_batch()
    survey = PostgresSurvey(system)
    await close_idle(records, survey, idle_s=3600)
    assert (await doctor.batch(idle))["state"] == "receiving"
    await doctor.upload(busy, {"a.dcm": b"no"})
    created = (await doctor.batch(busy))["created_at"]
    while await close_idle(records, survey, idle_s=0):
        pass
    assert (await doctor.batch(idle))["state"] == "done"
    assert (await doctor.batch(busy))["closed_at"] > created


async def test_the_worker_sweeps_by_itself(user: MakeUser, working: Running) -> None:
    doctor = user(new_tenant())
    batch_id = await doctor.open_batch()
    await doctor.upload(batch_id, {"a.dcm": dicom_file()})
    async with working(processing_deadline_s=0.001, idle_batch_s=0.001):
        batch = await doctor.wait_for(batch_id, lambda batch: batch["state"] == "done")
    assert batch["counts"]["failed"] == 1


async def test_nothing_stays_in_the_spool(user: MakeUser, settings: IngestSettings) -> None:
    doctor = user(new_tenant())
    batch_id = await doctor.open_batch()
    await doctor.upload(batch_id, {"a.dcm": dicom_file(), "b.dcm": b"no", "huge.dcm": bytes(4 << 20)})
    await doctor.call("POST", f"/{batch_id}/close")
    await doctor.send(batch_id, {"late.dcm": dicom_file()})
    folder = settings.upload.spool_dir
    assert folder is not None
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["lock"]
