import asyncio
from collections.abc import Callable
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from ingest_service.adapters.mapping import audit_record_of
from ingest_service.adapters.tables import AuditRow
from ingest_service.domain.audit import AuditRecord, first_fault
from radrelay_shared.database import Database, DatabaseSettings, Scope
from support.databases import dsn
from support.dicom_files import dicom_file, encode, image
from support.ingest_api import IngestUser
from support.stack import Infrastructure
from support.tenants import new_tenant

MakeUser = Callable[..., IngestUser]


async def chain_of(database: Database, tenant: str) -> list[AuditRecord]:
    async with database.transaction(Scope.service(tenant)) as session:
        query = select(*AuditRow.__table__.columns).order_by(AuditRow.sequence)
        return [audit_record_of(row) for row in await session.execute(query)]


async def test_every_act_is_in_the_chain_and_the_chain_holds(user: MakeUser, database: Database) -> None:
    tenant = new_tenant()
    doctor = user(tenant)
    dataset = image()
    original = encode(dataset)
    dataset.Modality = "MR"
    batch_id = await doctor.open_batch()
    await doctor.upload(batch_id, {"a.dcm": original})
    await doctor.upload(batch_id, {"again.dcm": original})
    await doctor.upload(batch_id, {"conflict.dcm": encode(dataset)})
    await doctor.upload(batch_id, {"bad.dcm": b"no"})
    await doctor.call("POST", f"/{batch_id}/close")
    records = await chain_of(database, tenant)
    assert [(record.fact.action.value, record.fact.reason) for record in records] == [
        ("batch.created", None),
        ("file.accepted", None),
        ("file.repeated", None),
        ("file.rejected", "conflicting_sop_instance"),
        ("file.rejected", "not_dicom"),
        ("batch.closed", None),
    ]
    assert {(record.fact.actor, record.fact.batch_id) for record in records} == {("dr-a", UUID(batch_id))}
    assert first_fault(records) is None


async def test_the_chain_holds_when_many_write_at_once(user: MakeUser, database: Database) -> None:
    tenant = new_tenant()

    async def work(name: str) -> None:
        doctor = user(tenant, name)
        files = {f"{n}.dcm": dicom_file() if n % 2 else b"no %d" % n for n in range(8)}
        await doctor.upload(await doctor.open_batch(), files, close=True)

    await asyncio.gather(*(work(f"dr-{n}") for n in range(4)))
    records = await chain_of(database, tenant)
    assert len(records) == 4 * (1 + 8 + 1)
    assert first_fault(records) is None


@pytest.mark.parametrize(
    "statement", ["UPDATE ingest.audit SET actor = 'eve'", "DELETE FROM ingest.audit", "TRUNCATE ingest.audit"]
)
async def test_the_runtime_role_may_not_change_the_chain(user: MakeUser, database: Database, statement: str) -> None:
    tenant = new_tenant()
    await user(tenant).open_batch()
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.transaction(Scope.service(tenant)) as session:
            await session.execute(text(statement))


@pytest.mark.parametrize(
    "statement", ["UPDATE ingest.audit SET actor = 'eve'", "DELETE FROM ingest.audit", "TRUNCATE ingest.audit"]
)
async def test_even_an_administrator_of_the_database_is_refused(
    user: MakeUser, infra_database: str, statement: str
) -> None:
    await user(new_tenant()).open_batch()
    admin = await asyncpg.connect(infra_database)
    try:
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await admin.execute(statement)
    finally:
        await admin.close()


async def test_the_system_role_sees_no_audit(system: Database) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with system.system_transaction() as session:
            await session.execute(text("SELECT * FROM ingest.audit"))


@pytest.fixture
def infra_database(ingest_database: DatabaseSettings, infra: Infrastructure) -> str:
    """The administrator's address of the database that holds the schema."""
    database = dsn(ingest_database.app_url).rsplit("/", 1)[1]
    return f"{infra.postgres_admin_url.rsplit('/', 1)[0]}/{database}"
