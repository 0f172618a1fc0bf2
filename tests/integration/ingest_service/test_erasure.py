"""Images are erased as the report service's events ask for it: those that were meant, and no others."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from nats.js import JetStreamContext
from pydantic import SecretStr
from sqlalchemy import text

from ingest_service.adapters.erasures import PostgresLeftovers
from ingest_service.adapters.records import PostgresRecords
from ingest_service.handlers.erasing import apply_erasure_request, apply_report_erased, remove_leftovers
from ingest_service.settings import DeidentificationSettings
from radrelay_shared.database import Database, Scope
from radrelay_shared.events import ErasureRequested, Event, ReportErased, make_event
from radrelay_shared.messaging import Publisher, durables
from radrelay_shared.objects import S3ObjectStore, keys
from support.dicom_files import dicom_file, encode, image, new_uid
from support.events import report_created
from support.ingest_api import IngestUser
from support.tenants import new_tenant
from support.tokens import TestIssuer
from support.workers import until_settled

MakeUser = Callable[..., IngestUser]


def study_request(tenant: str, uid: str, at: datetime | None = None) -> Event[ErasureRequested]:
    data = ErasureRequested(
        erasure_id=uuid4(), study_instance_uid=uid, instance_id=None, requested_at=at or datetime.now(UTC)
    )
    return make_event(data, tenant=tenant, source="/radrelay/report")


def report_erased(tenant: str, instance_id: UUID, at: datetime | None = None) -> Event[ReportErased]:
    created = report_created(tenant=tenant, instance_id=instance_id).data.model_dump()
    data = ReportErased(**created, last_review=None, reason="retention", erased_at=at or datetime.now(UTC))
    return make_event(data, tenant=tenant, source="/radrelay/report")


def slice_of(study_uid: str, patient_id: str = "P1") -> bytes:
    dataset = image()
    dataset.StudyInstanceUID, dataset.PatientID = study_uid, patient_id
    return encode(dataset)


async def send(doctor: IngestUser, *contents: bytes, batch_id: str | None = None) -> tuple[str, list[UUID]]:
    """The batch, and the images in the order of the files."""
    batch_id = batch_id or await doctor.open_batch(label="ward 3")
    files = {f"{number}.dcm": content for number, content in enumerate(contents)}
    accepted = (await doctor.upload(batch_id, files))["accepted"]
    by_name = {each["name"]: UUID(each["instance_id"]) for each in accepted}
    return batch_id, [by_name[name] for name in files]


async def send_one(doctor: IngestUser, content: bytes) -> UUID:
    (accepted,) = (await doctor.upload(await doctor.open_batch(), {"a.dcm": content}))["accepted"]
    return UUID(accepted["instance_id"])


async def instances(database: Database, tenant: str) -> set[UUID]:
    async with database.transaction(Scope.service(tenant)) as session:
        return set(await session.scalars(text("SELECT instance_id FROM ingest.instance")))


async def test_a_study_goes_whoever_sent_it_and_whatever_became_of_it(
    user: MakeUser, records: PostgresRecords, database: Database
) -> None:
    tenant, uid = new_tenant(), new_uid()
    batch_id, (gone, kept) = await send(user(tenant), slice_of(uid), dicom_file())
    await send(user(tenant, "dr-b"), slice_of(uid))
    _, elsewhere = await send(user(other := new_tenant()), slice_of(uid))
    await apply_erasure_request(records, study_request(tenant, uid))
    assert await instances(database, tenant) == {kept}
    assert await instances(database, other) == set(elsewhere)
    batch = await user(tenant).batch(batch_id)
    assert (batch["counts"]["received"], batch["label"]) == (1, "ward 3")
    async with records.transaction(Scope.service(tenant)) as tx:
        facts = [each.fact for each in await tx.audit_records(0, 100)]
    erased = [(fact.actor, fact.instance_id) for fact in facts if fact.action == "instance.erased"]
    assert len(erased) == 2
    assert ("ingest-eraser", gone) in erased


async def test_what_was_sent_since_then_stays_however_often_it_is_said(
    user: MakeUser, records: PostgresRecords, database: Database
) -> None:
    tenant, uid = new_tenant(), new_uid()
    before = datetime.now(UTC) - timedelta(seconds=1)
    _, (instance_id,) = await send(user(tenant), slice_of(uid))
    for _ in range(2):
        await apply_erasure_request(records, study_request(tenant, uid, before))
        await apply_report_erased(records, report_erased(tenant, instance_id, before))
    assert await instances(database, tenant) == {instance_id}
    for _ in range(2):
        await apply_report_erased(records, report_erased(tenant, instance_id))
    assert await instances(database, tenant) == set()


async def test_the_label_goes_with_the_last_file_of_a_batch(user: MakeUser, records: PostgresRecords) -> None:
    tenant, uid = new_tenant(), new_uid()
    batch_id, _ = await send(user(tenant), slice_of(uid))
    await apply_erasure_request(records, study_request(tenant, uid))
    batch = await user(tenant).batch(batch_id)
    assert (batch["label"], batch["counts"]["received"]) == (None, 0)


async def test_the_object_goes_once_everything_of_it_was_published(
    user: MakeUser, records: PostgresRecords, system: Database, objects: S3ObjectStore
) -> None:
    tenant, uid = new_tenant(), new_uid()
    _, (instance_id,) = await send(user(tenant), slice_of(uid))
    await apply_erasure_request(records, study_request(tenant, uid))
    leftovers = _OfTenant(system, tenant)
    assert await remove_leftovers(records, leftovers, objects) == 0
    assert await objects.stat(keys.instance(tenant, instance_id)) is not None
    async with system.system_transaction() as session:
        await session.execute(
            text("UPDATE ingest.outbox SET published_at = now() WHERE tenant = :tenant"), {"tenant": tenant}
        )
    assert await remove_leftovers(records, leftovers, objects) == 1
    assert await objects.stat(keys.instance(tenant, instance_id)) is None
    assert await remove_leftovers(records, leftovers, objects) == 0


async def test_the_same_file_that_is_sent_again_keeps_its_object(
    user: MakeUser, records: PostgresRecords, system: Database, objects: S3ObjectStore, database: Database
) -> None:
    tenant, content = new_tenant(), dicom_file()
    _, (instance_id,) = await send(user(tenant), content)
    await apply_report_erased(records, report_erased(tenant, instance_id))
    assert (await send(user(tenant), content))[1] == [instance_id]
    async with system.system_transaction() as session:
        await session.execute(
            text("UPDATE ingest.outbox SET published_at = now() WHERE tenant = :tenant"), {"tenant": tenant}
        )
    assert await remove_leftovers(records, _OfTenant(system, tenant), objects) == 1
    assert await objects.get(keys.instance(tenant, instance_id)) == content
    assert await instances(database, tenant) == {instance_id}


class _OfTenant(PostgresLeftovers):
    """What is left of one tenant: other tests leave things too."""

    def __init__(self, system: Database, tenant: str) -> None:
        super().__init__(system)
        self._tenant = tenant

    async def oldest(self, limit: int) -> Any:
        return [each for each in await super().oldest(10 * limit) if each.tenant == self._tenant]


async def test_both_events_reach_the_worker(
    user: MakeUser,
    working: Callable[..., AbstractAsyncContextManager[None]],
    js: JetStreamContext,
    database: Database,
) -> None:
    tenant, uid = new_tenant(), new_uid()
    _, (_, second) = await send(user(tenant), slice_of(uid), dicom_file())
    async with working():
        publisher = Publisher(js)
        await publisher.publish(study_request(tenant, uid))
        await publisher.publish(report_erased(tenant, second))
        await until_settled(js, durables.INGEST_ERASURES)
        assert await instances(database, tenant) == set()


@pytest.fixture
async def pseudonymous(
    serving: Callable[..., AbstractAsyncContextManager[str]], issuer: TestIssuer
) -> AsyncIterator[tuple[str, IngestUser]]:
    """A tenant that de-identifies, and a user of it."""
    tenant = new_tenant()
    key = SecretStr(base64.b64encode(os.urandom(32)).decode())
    profiles = {tenant: DeidentificationSettings(mode="basic", key=key)}
    async with serving(deidentification=profiles) as address, httpx.AsyncClient(base_url=address, timeout=30) as client:
        yield tenant, IngestUser(client, issuer.bearer(tenant, "dr-a"))


async def test_a_pseudonym_s_mapping_goes_with_the_patients_last_image(
    pseudonymous: tuple[str, IngestUser], records: PostgresRecords, database: Database
) -> None:
    tenant, doctor = pseudonymous
    sent = [slice_of(new_uid()), slice_of(new_uid()), slice_of(new_uid(), patient_id="P2")]
    first, second, other = [await send_one(doctor, each) for each in sent]

    async def mapped() -> int:
        async with database.transaction(Scope.service(tenant)) as session:
            return int((await session.execute(text("SELECT count(*) FROM ingest.pseudonym"))).scalar_one())

    numbers = []
    for instance_id in (first, second, other):
        numbers.append(await mapped())
        await apply_report_erased(records, report_erased(tenant, instance_id))
    assert [*numbers, await mapped()] == [2, 2, 1, 0]


@pytest.mark.parametrize("table", ["instance", "batch_file"])
@pytest.mark.parametrize("role", ["clinician", "tenant_admin", "service"])
async def test_nothing_is_deleted_that_is_not_noted_as_erased(
    user: MakeUser, database: Database, table: str, role: Any
) -> None:
    tenant = new_tenant()
    await send(user(tenant), dicom_file())
    async with database.transaction(Scope(tenant, "dr-a", role)) as session:
        deleted = await session.execute(text(f"DELETE FROM ingest.{table} RETURNING tenant"))
        assert deleted.all() == []


@pytest.mark.parametrize("is_lost", [False, True])
async def test_an_upload_that_races_with_the_erasure_of_its_image_ends_well(
    user: MakeUser, records: PostgresRecords, database: Database, *, is_lost: bool
) -> None:
    tenant, content = new_tenant(), dicom_file()
    doctor = user(tenant)
    _, (instance_id,) = await send(doctor, content)
    if is_lost:
        async with records.transaction(Scope.service(tenant)) as tx:
            await tx.mark_lost(instance_id, "missing", datetime.now(UTC))
    batch_ids = [await doctor.open_batch() for _ in range(12)]
    erasures = [report_erased(tenant, instance_id) for _ in range(12)]
    async with asyncio.TaskGroup() as group:
        sending = [group.create_task(doctor.send(each, {"a.dcm": content})) for each in batch_ids]
        for each in erasures:
            group.create_task(apply_report_erased(records, each))
    answers = [each.result() for each in sending]
    outcomes = [answer.json() for answer in answers]
    assert [(len(each["accepted"]), each["rejected"]) for each in outcomes] == [(1, [])] * 12
    assert await instances(database, tenant) <= {instance_id}
