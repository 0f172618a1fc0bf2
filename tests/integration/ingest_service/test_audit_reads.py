"""Who read what is in the chain before it is answered."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from ingest_service.adapters.records import PostgresRecords, PostgresTransaction
from ingest_service.adapters.tables import AuditRow
from ingest_service.handlers.batches import create_batch
from ingest_service.handlers.reading import list_batches, read_batch
from ingest_service.ports import Page
from radrelay_shared.audit import AuditFact, Verification
from radrelay_shared.audit.log import GatheredReads
from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Urgency
from support.dicom_files import dicom_file
from support.ingest_api import IngestUser
from support.tenants import new_tenant

MakeUser = Callable[..., IngestUser]


class Away(PostgresRecords):
    """A database that goes away when something is to be audited."""

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[PostgresTransaction]:
        async with super().transaction(scope) as tx:

            async def fail(*_: AuditFact) -> None:
                raise ConnectionError("away")

            tx.audit = fail  # type: ignore[method-assign]  # planted
            yield tx


async def acts(database: Database, tenant: str) -> list[tuple[str, str, UUID | None]]:
    async with database.transaction(Scope.service(tenant)) as session:
        rows = await session.scalars(select(AuditRow).order_by(AuditRow.sequence))
        return [(row.actor, row.action, row.batch_id) for row in rows]


async def test_every_read_is_recorded_with_who_and_what(user: MakeUser, database: Database) -> None:
    tenant = new_tenant()
    doctor, admin = user(tenant), user(tenant, "boss", ("tenant_admin",))
    batch = await doctor.open_batch()
    await doctor.upload(batch, {"a.dcm": b"no"}, close=True)
    await doctor.batch(batch)
    await admin.files(batch)
    await admin.call("GET", "")
    assert (await acts(database, tenant))[3:] == [
        ("dr-a", "batch.read", UUID(batch)),
        ("boss", "files.listed", UUID(batch)),
        ("boss", "batches.listed", None),
    ]


async def test_watching_is_one_read_however_much_changes(user: MakeUser, database: Database) -> None:
    tenant = new_tenant()
    doctor = user(tenant)
    batch = await doctor.open_batch()
    async with doctor.events(batch) as events:
        await anext(events)
        await doctor.upload(batch, {"a.dcm": b"no"}, close=True)
        assert [name async for name, _ in events][-1] == "done"
    actions = [action for _, action, _ in await acts(database, tenant)]
    assert sorted(actions) == ["batch.closed", "batch.created", "batch.watched", "file.rejected"]


async def test_what_is_somebody_elses_is_no_read_but_a_refused_access(user: MakeUser, database: Database) -> None:
    tenant = new_tenant()
    batch = await user(tenant, "dr-b").open_batch()
    for method, path in (("GET", ""), ("GET", "/files"), ("GET", "/events"), ("POST", "/close")):
        assert (await user(tenant).call(method, f"/{batch}{path}")).status_code == 404
    asked = "/v1/batches/{batch_id}"
    assert await acts(database, tenant) == [
        ("dr-b", "batch.created", UUID(batch)),
        ("dr-a", f"refused GET {asked}", UUID(batch)),
        ("dr-a", f"refused GET {asked}/files", UUID(batch)),
        ("dr-a", f"refused GET {asked}/events", UUID(batch)),
        ("dr-a", f"refused POST {asked}/close", UUID(batch)),
    ]


async def test_a_read_that_cannot_be_recorded_is_not_answered(database: Database) -> None:
    caller = Scope(new_tenant(), "dr-a", "clinician")
    records = PostgresRecords(database)
    batch = (await create_batch(records, caller, batch_id=uuid4(), label=None, priority=Urgency.ROUTINE)).batch
    async with GatheredReads(Away(database), "ingest") as reads:
        with pytest.raises(ConnectionError):
            await read_batch(records, reads, caller, batch.batch_id)
        with pytest.raises(ConnectionError):
            await list_batches(records, reads, caller, Page(10))
    assert len(await acts(database, caller.tenant)) == 1
    async with GatheredReads(records, "ingest") as reads:
        await read_batch(records, reads, caller, batch.batch_id)
    assert len(await acts(database, caller.tenant)) == 2


async def test_reads_and_uploads_of_many_at_once_make_one_chain_without_gaps(
    user: MakeUser, records: PostgresRecords
) -> None:
    tenant = new_tenant()

    async def work(name: str) -> None:
        doctor = user(tenant, name)
        batch = await doctor.open_batch()
        upload = doctor.upload(batch, {f"{n}.dcm": dicom_file() if n % 2 else b"no %d" % n for n in range(6)})
        await asyncio.gather(upload, *(doctor.batch(batch) for _ in range(10)))

    await asyncio.gather(*(work(f"dr-{n}") for n in range(4)))
    verification = Verification([])
    async with records.transaction(Scope.service(tenant)) as tx:
        for record in await tx.audit_records(0, 1000):
            verification.add(record)
    assert verification.faults == []
    assert verification.last_sequence == verification.records == 4 * (1 + 6 + 10)
