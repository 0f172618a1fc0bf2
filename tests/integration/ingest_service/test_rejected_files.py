"""Files that were refused are kept for a time, looked into by an administrator, and sent through validation again."""

import asyncio
import hashlib
import io
import zipfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from ingest_service.adapters.records import PostgresRecords
from ingest_service.domain.archive import ArchivePlan
from ingest_service.domain.dicom import DicomFacts
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.handlers.batches import own_batch
from ingest_service.handlers.intake import SpooledFile, receive_file
from ingest_service.ports import Records
from radrelay_shared.database import Database, Scope
from radrelay_shared.objects import S3ObjectStore
from support.dicom_files import dicom_file, encode, image
from support.ingest_api import IngestUser, assert_problem
from support.intake import make_intake
from support.tenants import new_tenant

MakeUser = Callable[..., IngestUser]
Working = Callable[..., AbstractAsyncContextManager[None]]
Serving = Callable[..., AbstractAsyncContextManager[str]]
PATH = "/v1/rejected-files"


async def kept(who: IngestUser, **query: Any) -> list[dict[str, Any]]:
    response = await who.request("GET", PATH, params=query)
    assert response.status_code == 200, response.text
    files: list[dict[str, Any]] = response.json()["rejected_files"]
    return files


async def stored(objects: S3ObjectStore, tenant: str) -> list[str]:
    return [key async for key in objects.list_keys(f"{tenant}/rejected/")]


async def sent(doctor: IngestUser, *, close: bool = True, **files: bytes) -> str:
    batch_id = await doctor.open_batch()
    await doctor.upload(batch_id, {f"{name}.dcm": content for name, content in files.items()}, close=close)
    return batch_id


def conflicting() -> tuple[bytes, bytes]:
    """Two files of one SOP Instance UID."""
    dataset = image()
    first = encode(dataset)
    dataset.Modality = "MR"
    return first, encode(dataset)


def archive(**entries: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name, content in entries.items():
            made.writestr(f"{name}.dcm", content)
    return stream.getvalue()


@pytest.fixture
def tenant() -> str:
    return new_tenant()


@pytest.fixture
def doctor(user: MakeUser, tenant: str) -> IngestUser:
    return user(tenant)


@pytest.fixture
def chief(user: MakeUser, tenant: str) -> IngestUser:
    return user(tenant, "chief", ["tenant_admin"])


async def test_a_refused_file_is_listed_and_its_bytes_are_kept_under_its_tenant(
    doctor: IngestUser, objects: S3ObjectStore, tenant: str
) -> None:
    batch_id = await sent(doctor, a=b"no", b=dicom_file())
    (file,) = await kept(doctor)
    assert (file["name"], file["reason"], file["batch_id"], file["size_bytes"]) == ("a.dcm", "not_dicom", batch_id, 2)
    assert file["sha256"] == hashlib.sha256(b"no").hexdigest()
    (key,) = await stored(objects, tenant)
    assert key == f"{tenant}/rejected/{file['rejected_id']}"
    assert await objects.get(key) == b"no"


async def test_an_administrator_downloads_the_bytes_as_an_attachment_that_no_browser_opens(
    doctor: IngestUser, chief: IngestUser, tenant: str, database: Database
) -> None:
    content = b"<script>" + bytes(3_000_000 - 8)
    await sent(doctor, a=content)
    (file,) = await kept(chief)
    response = await chief.request("GET", f"{PATH}/{file['rejected_id']}/content")
    assert (response.status_code, response.content) == (200, content)
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"] == f'attachment; filename="rejected-{file["rejected_id"]}.bin"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Length"] == str(len(content))
    async with database.transaction(Scope.service(tenant)) as session:
        query = text("SELECT action, fingerprint FROM ingest.audit WHERE actor = 'chief' ORDER BY sequence")
        acts = [tuple(row) for row in await session.execute(query)]
    assert acts == [("rejected.listed", None), ("rejected.read", file["sha256"])]


async def test_what_is_empty_too_large_or_a_refused_archive_is_not_kept(
    doctor: IngestUser, objects: S3ObjectStore, tenant: str
) -> None:
    broken = archive(a=b"no")[:-30]
    nested = archive(inner=archive(a=b"no"))
    await sent(doctor, empty=b"", large=bytes(4 << 20), broken=broken, nested=nested)
    assert await kept(doctor) == []
    assert await stored(objects, tenant) == []


async def test_a_refused_entry_of_a_good_archive_is_kept(doctor: IngestUser) -> None:
    await sent(doctor, folder=archive(a=b"no", b=dicom_file()))
    (file,) = await kept(doctor)
    assert (file["name"].endswith("a.dcm"), file["reason"]) == (True, "not_dicom")


async def test_the_same_file_sent_again_is_kept_once(doctor: IngestUser, objects: S3ObjectStore, tenant: str) -> None:
    batch_id = await sent(doctor, close=False, a=b"no")
    before = await kept(doctor)
    await doctor.upload(batch_id, {"a.dcm": b"no"})
    assert await kept(doctor) == before
    assert len(await stored(objects, tenant)) == 1


async def test_the_list_is_paged_and_filtered_by_reason_and_batch(doctor: IngestUser) -> None:
    first, second = conflicting()
    one = await sent(doctor, a=b"no", b=b"neither")
    other = await sent(doctor, c=first)
    await doctor.upload(other_batch := await doctor.open_batch(), {"d.dcm": second})
    assert other != other_batch
    names: list[str] = []
    query: dict[str, Any] = {"limit": 1}
    while True:
        page = (await doctor.request("GET", PATH, params=query)).json()
        names += [file["name"] for file in page["rejected_files"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert names[0] == "d.dcm"
    assert sorted(names) == ["a.dcm", "b.dcm", "d.dcm"]
    assert [file["name"] for file in await kept(doctor, reason="conflicting_sop_instance")] == ["d.dcm"]
    assert {file["name"] for file in await kept(doctor, batch_id=one)} == {"a.dcm", "b.dcm"}
    assert await kept(doctor, batch_id=one, reason="truncated") == []
    assert_problem(await doctor.request("GET", PATH, params={"cursor": "x"}), 400, "invalid_cursor")
    assert_problem(await doctor.request("GET", PATH, params={"reason": "x"}), 422, "invalid_request")


async def test_what_is_still_refused_stays_as_it_is_and_opens_no_batch(doctor: IngestUser, chief: IngestUser) -> None:
    batch_id = await sent(doctor, a=b"no")
    (file,) = await kept(chief)
    response = await chief.request("POST", f"{PATH}/{file['rejected_id']}/resubmit")
    answer = response.json()
    assert (answer["batch_id"], answer["accepted"]) == (batch_id, None)
    assert (answer["rejected"]["name"], answer["rejected"]["reason"]) == ("a.dcm", "not_dicom")
    assert await kept(chief) == [file]
    assert len((await doctor.call("GET", "")).json()["batches"]) == 1


class Starved:
    """A validator that gets no time."""

    async def validate(self, path: Path) -> DicomFacts:
        raise Refusal(RejectReason.VALIDATION_TIMEOUT, "it took too long")

    async def plan(self, path: Path) -> ArchivePlan:
        raise Refusal(RejectReason.VALIDATION_TIMEOUT, "it took too long")


async def refused_for_the_moment(
    doctor: IngestUser, tenant: str, records: Records, objects: S3ObjectStore, folder: Path, *, close: bool
) -> str:
    """A batch with a valid file that was refused as there was no time to validate it."""
    batch_id = await doctor.open_batch()
    caller = Scope(tenant, "dr-a", "clinician")
    content = dicom_file()
    path = folder / "spooled"
    path.write_bytes(content)
    intake = make_intake(records, objects, Starved(), folder)
    file = SpooledFile("a.dcm", path, len(content), hashlib.sha256(content).hexdigest())
    await receive_file(intake, caller, await own_batch(records, caller, UUID(batch_id)), file)
    if close:
        await doctor.call("POST", f"/{batch_id}/close")
    return batch_id


@pytest.mark.parametrize("close", [True, False])
async def test_what_is_valid_now_goes_into_its_batch_or_a_new_one_of_its_owner(
    doctor: IngestUser,
    chief: IngestUser,
    records: PostgresRecords,
    objects: S3ObjectStore,
    tenant: str,
    working: Working,
    tmp_path: Path,
    *,
    close: bool,
) -> None:
    batch_id = await refused_for_the_moment(doctor, tenant, records, objects, tmp_path, close=close)
    (file,) = await kept(chief)
    assert file["reason"] == "validation_timeout"
    answer = (await chief.request("POST", f"{PATH}/{file['rejected_id']}/resubmit")).json()
    assert (answer["rejected"], answer["accepted"]["repeated"]) == (None, False)
    assert (answer["batch_id"] == batch_id) is not close
    batch = await doctor.batch(answer["batch_id"])
    assert (batch["counts"]["queued"], batch["counts"]["rejected"]) == (1, 0)
    assert batch["state"] == ("processing" if close else "receiving")
    assert (await doctor.files(answer["batch_id"]))["a.dcm"]["instance_id"] == answer["accepted"]["instance_id"]
    assert await kept(chief) == []
    again = await chief.request("POST", f"{PATH}/{file['rejected_id']}/resubmit")
    assert_problem(again, 404, "rejected_file_not_found")
    async with working(), asyncio.timeout(20):
        while await stored(objects, tenant):
            await asyncio.sleep(0.02)


async def test_after_its_time_a_file_is_gone_and_the_sweeper_removes_its_bytes(
    serving: Serving,
    doctor: IngestUser,
    chief: IngestUser,
    objects: S3ObjectStore,
    tenant: str,
    working: Working,
    database: Database,
) -> None:
    async with (
        serving(rejected_retention_s=1e-6) as address,
        httpx.AsyncClient(base_url=address) as client,
    ):
        batch_id = await sent(IngestUser(client, doctor.headers), a=b"no")
    assert await kept(chief) == []
    (key,) = await stored(objects, tenant)
    response = await chief.request("GET", f"{PATH}/{key.rsplit('/', 1)[-1]}/content")
    assert_problem(response, 404, "rejected_file_not_found")
    query = text("SELECT count(*) FROM ingest.rejected_file")
    async with working(), asyncio.timeout(20):
        rows = 1
        while rows:
            async with database.transaction(Scope.service(tenant)) as session:
                rows = (await session.execute(query)).scalar_one()
    assert await stored(objects, tenant) == []
    assert (await doctor.files(batch_id))["a.dcm"]["reason"] == "not_dicom"


async def test_bytes_that_are_gone_from_the_store_are_not_found(
    doctor: IngestUser, chief: IngestUser, objects: S3ObjectStore, tenant: str
) -> None:
    await sent(doctor, a=b"no")
    (file,) = await kept(chief)
    (key,) = await stored(objects, tenant)
    await objects.delete(key)
    for method, act in (("GET", "content"), ("POST", "resubmit")):
        response = await chief.request(method, f"{PATH}/{file['rejected_id']}/{act}")
        assert_problem(response, 404, "rejected_file_not_found")
