"""Resumable uploads by the tus protocol, on two replicas of the API and a worker."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from ingest_service.adapters.outages import OUTAGES
from ingest_service.adapters.resumable import PostgresUploadQueue
from ingest_service.adapters.survey import PostgresSurvey
from ingest_service.bootstrap import open_intake
from ingest_service.handlers.sweeping import close_idle, remove_expired_uploads
from ingest_service.handlers.taking_in import TakingIn
from ingest_service.ports import Records
from ingest_service.settings import IngestSettings, QuotaSettings, TenantQuota, UploadSettings
from ingest_service.upload_taker import UploadTaker
from radrelay_shared.database import Database
from radrelay_shared.objects import S3ObjectStore, keys
from support import tus
from support.dicom_files import dicom_file, zip_of
from support.ingest_api import IngestUser, assert_problem
from support.tenants import new_tenant
from support.tokens import TestIssuer

MakeUser = Callable[..., IngestUser]
Working = Callable[..., AbstractAsyncContextManager[None]]
TakeIn = Callable[[], Awaitable[None]]
PART_BYTES = 64 << 10
MAX_FILE_BYTES = 3 << 20
SMALL = new_tenant()


@pytest.fixture(scope="module")
def limits(settings: IngestSettings) -> UploadSettings:
    small = {"part_bytes": PART_BYTES, "max_parts": 20, "max_open_uploads": 3}
    return settings.upload.model_copy(update=small)


@pytest.fixture(scope="module")
async def replicas(
    serving: Callable[..., AbstractAsyncContextManager[str]], limits: UploadSettings
) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Clients of two APIs on the same stores, with small parts."""
    quota = QuotaSettings(tenants={SMALL: TenantQuota(user_bytes_per_day=1000)})
    async with (
        serving(upload=limits, quota=quota) as one,
        serving(upload=limits, quota=quota) as other,
        httpx.AsyncClient(base_url=one, timeout=30) as first,
        httpx.AsyncClient(base_url=other, timeout=30) as second,
    ):
        yield [first, second]


@pytest.fixture(scope="module")
async def take_in(settings: IngestSettings, limits: UploadSettings, system: Database) -> AsyncIterator[TakeIn]:
    """Takes in every upload that has come whole, as the worker does."""
    async with open_intake(settings.model_copy(update={"upload": limits})) as opened:
        taker = UploadTaker(TakingIn(opened.intake, opened.slots, pending=2), PostgresUploadQueue(system), lease_s=60)
        yield lambda: taker.take_all(asyncio.Event())


@pytest.fixture
def make(replicas: list[httpx.AsyncClient], issuer: TestIssuer) -> MakeUser:
    """Makes users of the replicas."""

    def make(
        tenant: str, name: str = "dr-a", *, roles: tuple[str, ...] = ("clinician",), replica: int = 0
    ) -> IngestUser:
        return IngestUser(replicas[replica], issuer.bearer(tenant, name, roles))

    return make


def archive() -> bytes:
    """Three images, something else, and enough of it for several parts."""
    entries = {f"ct/{number}.dcm": dicom_file() for number in range(3)}
    return zip_of(entries | {"ct/letter.txt": os.urandom(4 * PART_BYTES)})


async def told(doctor: IngestUser, batch_id: str) -> dict[str, tuple[str, str | None, str | None]]:
    return {
        name: (file["status"], file["reason"], file["detail"]) for name, file in (await doctor.files(batch_id)).items()
    }


async def close(doctor: IngestUser, batch_id: str) -> None:
    """Close a batch that waits for no upload."""
    response = await doctor.call("POST", f"/{batch_id}/close")
    assert response.status_code == 200, response.text


async def parts_of(objects: S3ObjectStore, tenant: str, path: str) -> list[str]:
    prefix = keys.upload_parts(tenant, UUID(path.rsplit("/", 1)[1]))
    return [key async for key in objects.list_keys(prefix)]


async def test_an_archive_in_parts_has_the_outcomes_of_one_in_a_request(
    make: MakeUser, take_in: TakeIn, objects: S3ObjectStore
) -> None:
    content = archive()
    one, other = make(new_tenant()), make(new_tenant())
    expected = await one.open_batch()
    await one.upload(expected, {"nacht ü.zip": content})
    batch_id = await other.open_batch()
    path = await tus.begin(other, batch_id, len(content), "nacht ü.zip")
    for offset in range(0, len(content), 100_000):
        response = await tus.send(other, path, offset, content[offset : offset + 100_000])
        assert response.status_code == 204, response.text
    await take_in()
    await close(other, batch_id)
    assert await told(other, batch_id) == await told(one, expected)
    assert len(await told(one, expected)) == 4
    assert (await tus.look(other, path)).headers["Upload-Offset"] == str(len(content))


async def test_a_kept_client_sends_files_and_their_parts_are_removed(
    make: MakeUser, working: Working, objects: S3ObjectStore
) -> None:
    tenant = new_tenant()
    doctor = make(tenant)
    batch_id = await doctor.open_batch()
    await tus.send_with_kept_client(doctor, batch_id, archive(), "night.zip", chunk_size=90_000)
    await tus.send_with_kept_client(doctor, batch_id, dicom_file(), "single.dcm")
    assert [key async for key in objects.list_keys(f"{tenant}/uploads/")]
    response = await doctor.call("POST", f"/{batch_id}/close")
    assert_problem(response, 409, "uploads_pending")
    assert response.headers["Retry-After"] == "1"
    assert (await doctor.batch(batch_id))["state"] == "receiving"
    async with working(taking_in_interval_s=0.05):
        async with asyncio.timeout(20):
            while (await doctor.call("POST", f"/{batch_id}/close")).status_code != 200:
                await asyncio.sleep(0.05)
            while [key async for key in objects.list_keys(f"{tenant}/uploads/")]:
                await asyncio.sleep(0.02)
    assert {name: status for name, (status, *_) in (await told(doctor, batch_id)).items()} == {
        "night.zip/ct/0.dcm": "queued",
        "night.zip/ct/1.dcm": "queued",
        "night.zip/ct/2.dcm": "queued",
        "night.zip/ct/letter.txt": "rejected",
        "single.dcm": "queued",
    }


async def test_what_came_before_the_connection_broke_is_kept_and_another_replica_goes_on(
    make: MakeUser, take_in: TakeIn
) -> None:
    tenant, content = new_tenant(), archive()
    doctor = make(tenant)
    batch_id = await doctor.open_batch()
    path = await tus.begin(doctor, batch_id, len(content))
    cut = PART_BYTES + 12_345
    await tus.send_and_break_off(doctor, path, 0, content[:cut], len(content))
    elsewhere = make(tenant, replica=1)
    await tus.offset_becomes(elsewhere, path, cut)
    response = await tus.send(elsewhere, path, cut, content[cut:])
    assert (response.status_code, response.headers["Upload-Offset"]) == (204, str(len(content)))
    await take_in()
    await close(doctor, batch_id)
    assert (await doctor.batch(batch_id))["counts"]["queued"] == 3


async def test_of_two_requests_for_the_same_bytes_one_is_told_that_the_upload_stands_elsewhere(
    make: MakeUser, take_in: TakeIn
) -> None:
    tenant, content = new_tenant(), archive()
    doctor = make(tenant)
    batch_id = await doctor.open_batch()
    path = await tus.begin(doctor, batch_id, len(content))
    begun, overtaken = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield content[:1000]
        begun.set()
        await overtaken.wait()
        yield content[1000:]

    slow = asyncio.create_task(tus.send(doctor, path, 0, slowly()))
    await begun.wait()
    assert (await tus.send(make(tenant, replica=1), path, 0, content)).status_code == 204
    overtaken.set()
    response = await slow
    assert_problem(response, 409, "upload_offset_mismatch")
    assert response.headers["Upload-Offset"] == str(len(content))
    await take_in()
    await close(doctor, batch_id)
    assert (await doctor.batch(batch_id))["counts"]["queued"] == 3


async def test_the_protocol_is_described_without_a_token(replicas: list[httpx.AsyncClient]) -> None:
    some = "00000000-0000-0000-0000-000000000000"
    for path in (f"/v1/batches/{some}/uploads", f"/v1/uploads/{some}"):
        response = await replicas[0].options(path)
        assert response.status_code == 204
        assert response.headers["Tus-Version"] == "1.0.0"
        assert response.headers["Tus-Extension"] == "creation,expiration,termination"
        assert response.headers["Tus-Max-Size"] == str(MAX_FILE_BYTES)


async def test_where_an_upload_stands_is_told_in_the_headers_of_the_protocol(make: MakeUser) -> None:
    doctor = make(new_tenant())
    path = await tus.begin(doctor, await doctor.open_batch(), 10, "a.dcm")
    await tus.send(doctor, path, 0, b"1234")
    headers = (await tus.look(doctor, path)).headers
    assert headers["Upload-Offset"] == "4"
    assert headers["Upload-Length"] == "10"
    assert headers["Upload-Metadata"] == "filename YS5kY20="
    assert headers["Cache-Control"] == "no-store"
    assert headers["Tus-Resumable"] == "1.0.0"
    assert headers["Upload-Expires"].endswith(" GMT")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Upload-Length": "0"}, 422, "invalid_request"),
        ({"Upload-Metadata": "filename %"}, 400, "invalid_upload_metadata"),
        ({"Upload-Metadata": "filename " + "QUFB" * 1100}, 400, "invalid_upload_metadata"),
        ({"Tus-Resumable": "0.2.2"}, 412, "unsupported_tus_version"),
        ({"Upload-Length": str(MAX_FILE_BYTES + 1)}, 413, "upload_too_large"),
        ({"Upload-Length": "many"}, 422, "invalid_request"),
    ],
)
async def test_an_upload_that_cannot_be_is_refused_before_it_begins(
    make: MakeUser, headers: dict[str, str], status: int, code: str
) -> None:
    doctor = make(new_tenant())
    response = await tus.ask_to_begin(doctor, await doctor.open_batch(), 10, **headers)
    assert_problem(response, status, code)
    if status == 412:
        assert response.headers["Tus-Version"] == "1.0.0"


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({"Upload-Offset": "3"}, b"abc", 409, "upload_offset_mismatch"),
        ({"Content-Type": "application/octet-stream"}, b"abc", 415, "not_offset_octet_stream"),
        ({}, b"abcdefghijk", 413, "upload_too_long"),
        ({"Tus-Resumable": "2.0.0"}, b"abc", 412, "unsupported_tus_version"),
    ],
)
async def test_bytes_that_do_not_fit_are_refused_and_nothing_of_them_is_kept(
    make: MakeUser, headers: dict[str, str], content: bytes, status: int, code: str
) -> None:
    doctor = make(new_tenant())
    path = await tus.begin(doctor, await doctor.open_batch(), 10)
    asked = tus.VERSION | tus.BYTES | {"Upload-Offset": "0"} | headers
    response = await doctor.request("PATCH", path, headers=asked, content=content)
    assert_problem(response, status, code)
    assert await tus.offset_of(doctor, path) == 0


async def test_a_body_without_a_length_brings_no_more_than_was_announced(make: MakeUser) -> None:
    doctor = make(new_tenant())
    path = await tus.begin(doctor, await doctor.open_batch(), 10)

    async def body() -> AsyncIterator[bytes]:
        yield b"0123456789abcdef"

    assert_problem(await tus.send(doctor, path, 0, body()), 413, "upload_too_long")
    assert await tus.offset_of(doctor, path) == 0


async def test_an_upload_in_crumbs_is_refused_after_some_of_them(make: MakeUser) -> None:
    doctor = make(new_tenant())
    path = await tus.begin(doctor, await doctor.open_batch(), 1000)
    for offset in range(20):
        assert (await tus.send(doctor, path, offset, b"x")).status_code == 204
    assert_problem(await tus.send(doctor, path, 20, b"x"), 413, "too_many_parts")


async def test_what_cannot_fit_in_the_quota_is_refused_before_it_is_sent(make: MakeUser) -> None:
    doctor = make(SMALL)
    batch_id = await doctor.open_batch()
    path = await tus.begin(doctor, batch_id, 600)
    problem = assert_problem(await tus.ask_to_begin(doctor, batch_id, 600), 429, "quota_exceeded")
    assert problem["violated-policies"] == ["user_bytes"]
    await doctor.request("DELETE", path, headers=tus.VERSION)
    await tus.begin(doctor, batch_id, 600)


async def test_a_user_begins_only_so_many_uploads(make: MakeUser) -> None:
    tenant = new_tenant()
    doctor, colleague = make(tenant), make(tenant, "dr-b")
    batch_id = await doctor.open_batch()
    for _ in range(3):
        await tus.begin(doctor, batch_id, 10)
    response = await tus.ask_to_begin(doctor, batch_id, 10)
    assert_problem(response, 429, "too_many_uploads")
    assert response.headers["Retry-After"]
    await tus.begin(colleague, await colleague.open_batch(), 10)


async def test_somebody_elses_upload_is_not_found_whatever_is_asked(make: MakeUser) -> None:
    tenant = new_tenant()
    doctor = make(tenant)
    batch_id = await doctor.open_batch()
    path = await tus.begin(doctor, batch_id, 10)
    strangers = {
        "batch_not_found": [make(tenant, "dr-b"), make(new_tenant()), make(new_tenant(), roles=("tenant_admin",))],
        "not_batch_owner": [make(tenant, "chief", roles=("tenant_admin",))],
    }
    for code, some in strangers.items():
        for stranger in some:
            response = await tus.ask_to_begin(stranger, batch_id, 10)
            assert_problem(response, 403 if code == "not_batch_owner" else 404, code)
            assert (await tus.look(stranger, path)).status_code == 404
            assert_problem(await tus.send(stranger, path, 0, b"x"), 404, "upload_not_found")
            assert_problem(await stranger.request("DELETE", path, headers=tus.VERSION), 404, "upload_not_found")
    assert await tus.offset_of(doctor, path) == 0


async def test_a_closed_batch_takes_no_uploads_and_no_more_of_them(make: MakeUser) -> None:
    doctor = make(new_tenant())
    batch_id = await doctor.open_batch()
    path = await tus.begin(doctor, batch_id, 10)
    assert (await doctor.call("POST", f"/{batch_id}/close")).status_code == 200
    assert_problem(await tus.send(doctor, path, 0, b"x"), 409, "batch_closed")
    assert_problem(await tus.ask_to_begin(doctor, batch_id, 10), 409, "batch_closed")


async def test_a_cancelled_batch_waits_for_no_upload_and_nothing_of_it_is_taken_in(
    make: MakeUser, take_in: TakeIn, objects: S3ObjectStore
) -> None:
    tenant = new_tenant()
    doctor = make(tenant)
    batch_id = await doctor.open_batch()
    path = await tus.send_all(doctor, batch_id, archive())
    assert await parts_of(objects, tenant, path)
    assert (await doctor.call("POST", f"/{batch_id}/cancel")).json()["state"] == "done"
    await take_in()
    assert await parts_of(objects, tenant, path) == []
    assert (await doctor.batch(batch_id))["counts"]["received"] == 0


async def change(system: Database, path: str, what: str) -> None:
    """Change what is recorded of an upload."""
    statement = text(f"UPDATE ingest.resumable_upload SET {what} WHERE upload_id = CAST(:upload_id AS uuid)")
    async with system.system_transaction() as session:
        await session.execute(statement, {"upload_id": path.rsplit("/", 1)[1]})


async def test_an_upload_that_was_terminated_is_gone_and_its_parts_go_later(
    make: MakeUser, system: Database, objects: S3ObjectStore
) -> None:
    tenant = new_tenant()
    doctor = make(tenant)
    path = await tus.begin(doctor, await doctor.open_batch(), 10)
    await tus.send(doctor, path, 0, b"1234")
    response = await doctor.request("DELETE", path, headers=tus.VERSION)
    assert (response.status_code, response.headers["Tus-Resumable"]) == (204, "1.0.0")
    assert_problem(await tus.send(doctor, path, 4, b"5"), 410, "upload_expired")
    queue = PostgresUploadQueue(system)
    await remove_expired_uploads(queue, objects)
    assert await parts_of(objects, tenant, path)
    await change(system, path, "expires_at = now() - interval '2 hours'")
    await remove_expired_uploads(queue, objects)
    assert await parts_of(objects, tenant, path) == []
    assert_problem(await tus.send(doctor, path, 4, b"5"), 404, "upload_not_found")


async def test_an_upload_expires_and_one_that_came_whole_does_not(
    make: MakeUser, system: Database, objects: S3ObjectStore, take_in: TakeIn
) -> None:
    tenant = new_tenant()
    doctor = make(tenant)
    batch_id = await doctor.open_batch()
    abandoned = await tus.begin(doctor, batch_id, 10)
    await tus.send(doctor, abandoned, 0, b"1234")
    whole = await tus.send_all(doctor, batch_id, dicom_file(), "a.dcm")
    for path in (abandoned, whole):
        await change(system, path, "expires_at = now() - interval '2 hours'")
    assert (await tus.look(doctor, abandoned)).status_code == 410
    await remove_expired_uploads(PostgresUploadQueue(system), objects)
    assert await parts_of(objects, tenant, abandoned) == []
    assert (await tus.look(doctor, abandoned)).status_code == 404
    await take_in()
    await close(doctor, batch_id)
    assert (await doctor.batch(batch_id))["counts"]["queued"] == 1


async def test_a_batch_that_waits_for_an_upload_is_not_idle(make: MakeUser, records: Records, system: Database) -> None:
    doctor = make(new_tenant())
    waiting, idle = await doctor.open_batch(), await doctor.open_batch()
    path = await tus.begin(doctor, waiting, 10)
    survey = PostgresSurvey(system)
    while await close_idle(records, survey, idle_s=0):
        pass
    assert (await doctor.batch(idle))["state"] == "done"
    assert (await doctor.batch(waiting))["state"] == "receiving"
    await doctor.request("DELETE", path, headers=tus.VERSION)
    while await close_idle(records, survey, idle_s=0):
        pass
    assert (await doctor.batch(waiting))["state"] == "done"


async def test_an_upload_whose_part_is_lost_is_refused(make: MakeUser, take_in: TakeIn, objects: S3ObjectStore) -> None:
    tenant = new_tenant()
    doctor = make(tenant)
    batch_id = await doctor.open_batch()
    path = await tus.send_all(doctor, batch_id, archive())
    await objects.delete((await parts_of(objects, tenant, path))[1])
    await take_in()
    await close(doctor, batch_id)
    detail = "a stored part of the upload is lost or damaged"
    assert await told(doctor, batch_id) == {"night.zip": ("rejected", "truncated", detail)}


async def test_an_upload_that_nobody_brings_to_an_end_is_refused(
    make: MakeUser, take_in: TakeIn, system: Database
) -> None:
    doctor = make(new_tenant())
    batch_id = await doctor.open_batch()
    path = await tus.send_all(doctor, batch_id, archive())
    await change(system, path, "attempts = 5")
    await take_in()
    await close(doctor, batch_id)
    ((status, reason, _),) = (await told(doctor, batch_id)).values()
    assert (status, reason) == ("rejected", "validation_crashed")


async def test_a_store_that_is_away_is_answered_503_and_the_upload_stays_where_it_was(
    make: MakeUser,
    settings: IngestSettings,
    limits: UploadSettings,
    serving: Callable[..., AbstractAsyncContextManager[str]],
) -> None:
    doctor = make(new_tenant())
    path = await tus.begin(doctor, await doctor.open_batch(), 10)
    away = settings.objects.model_copy(update={"endpoint": "127.0.0.1:1"})
    async with serving(objects=away, upload=limits) as address, httpx.AsyncClient(base_url=address) as client:
        response = await tus.send(IngestUser(client, doctor.headers), path, 0, b"1234")
        assert_problem(response, 503, "storage_unavailable")
    assert await tus.offset_of(doctor, path) == 0


async def test_nothing_of_an_upload_stays_in_the_spool(make: MakeUser, limits: UploadSettings, take_in: TakeIn) -> None:
    doctor = make(new_tenant())
    batch_id = await doctor.open_batch()
    await tus.send_all(doctor, batch_id, archive())
    await take_in()
    await close(doctor, batch_id)
    assert limits.spool_dir is not None
    assert {path.name for path in limits.spool_dir.rglob("*") if path.is_file()} == {"lock"}


async def test_who_was_away_for_longer_than_its_claim_leaves_the_upload_to_the_next(
    make: MakeUser, system: Database
) -> None:
    doctor = make(new_tenant())
    path = await tus.send_all(doctor, await doctor.open_batch(), dicom_file(), "a.dcm")
    queue, now = PostgresUploadQueue(system), datetime.now(UTC)
    first = await queue.claim(now, now + timedelta(seconds=60))
    assert first is not None
    assert path.endswith(str(first.upload.upload_id))
    assert await queue.claim(now, now + timedelta(seconds=60)) is None
    later = now + timedelta(seconds=61)
    second = await queue.claim(later, later + timedelta(seconds=60))
    assert second is not None
    assert (second.upload, second.attempts) == (first.upload, 2)
    assert not await queue.renew(first, later)
    await queue.release(first)
    assert not await queue.end(first, later)
    assert await queue.renew(second, later)
    assert await queue.end(second, later)


async def test_a_store_that_is_away_costs_an_upload_no_attempt(
    make: MakeUser, settings: IngestSettings, system: Database, take_in: TakeIn
) -> None:
    doctor = make(new_tenant())
    batch_id = await doctor.open_batch()
    await tus.send_all(doctor, batch_id, dicom_file(), "a.dcm")
    away = settings.objects.model_copy(update={"endpoint": "127.0.0.1:1"})
    queue = PostgresUploadQueue(system)
    async with open_intake(settings.model_copy(update={"objects": away})) as opened:
        taker = UploadTaker(TakingIn(opened.intake, opened.slots, pending=2), queue, lease_s=60)
        with pytest.raises(OUTAGES):
            await taker.take_all(asyncio.Event())
    now = datetime.now(UTC)
    claim = await queue.claim(now, now)
    assert claim is not None
    assert claim.attempts == 1
    await take_in()
    assert (await doctor.files(batch_id))["a.dcm"]["status"] == "queued"
