import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

from ingest_service.adapters.records import PostgresRecords
from radrelay_shared.audit import AuditRecord, Verification
from radrelay_shared.database import Scope
from support.dicom_files import dicom_file, encode, image
from support.ingest_api import IngestUser
from support.tenants import new_tenant

MakeUser = Callable[..., IngestUser]


async def chain_of(records: PostgresRecords, tenant: str) -> Sequence[AuditRecord]:
    async with records.transaction(Scope.service(tenant)) as tx:
        return await tx.audit_records(0, 1000)


def holds(records: Sequence[AuditRecord]) -> bool:
    verification = Verification([])
    for record in records:
        verification.add(record)
    return not verification.faults


async def test_every_act_is_in_the_chain_and_the_chain_holds(user: MakeUser, records: PostgresRecords) -> None:
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
    chain = await chain_of(records, tenant)
    assert [(record.fact.action, record.fact.reason) for record in chain] == [
        ("batch.created", None),
        ("file.accepted", None),
        ("file.repeated", None),
        ("file.rejected", "conflicting_sop_instance"),
        ("file.rejected", "not_dicom"),
        ("batch.closed", None),
    ]
    assert {(record.fact.actor, record.fact.batch_id) for record in chain} == {("dr-a", UUID(batch_id))}
    assert holds(chain)


async def test_the_chain_holds_when_many_write_at_once(user: MakeUser, records: PostgresRecords) -> None:
    tenant = new_tenant()

    async def work(name: str) -> None:
        doctor = user(tenant, name)
        files = {f"{n}.dcm": dicom_file() if n % 2 else b"no %d" % n for n in range(8)}
        await doctor.upload(await doctor.open_batch(), files, close=True)

    await asyncio.gather(*(work(f"dr-{n}") for n in range(4)))
    chain = await chain_of(records, tenant)
    assert len(chain) == 4 * (1 + 8 + 1)
    assert holds(chain)
