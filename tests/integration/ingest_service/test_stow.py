"""DICOMweb STOW-RS, spoken by dicomweb-client where it can say it, and by hand where it cannot."""

import asyncio
import io
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
import requests
from dicomweb_client import DICOMwebClient
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from ingest_service.settings import IngestSettings
from radrelay_shared.objects import S3ObjectStore, keys
from support.dicom_files import dicom_file, encode, image, new_uid, zip_of
from support.ingest_api import IngestUser, assert_problem
from support.tenants import new_tenant
from support.tokens import TestIssuer

MakeUser = Callable[..., IngestUser]
Serving = Callable[..., AbstractAsyncContextManager[str]]
RELATED = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=boundary'}
END = b"--boundary--\r\n"


def part(content: bytes, *headers: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in headers or ["Content-Type: application/dicom"])
    return f"--boundary\r\n{lines}\r\n".encode() + content + b"\r\n"


def body_of(contents: Iterable[bytes]) -> bytes:
    return b"".join(part(content) for content in contents) + END


def instance(**shape: int) -> Dataset:
    """A CT image as read from a file: dicomweb-client writes the preamble of those alone."""
    return dcmread(io.BytesIO(dicom_file(**shape)))


async def store(
    who: IngestUser, datasets: Sequence[Dataset], study: str | None = None, headers: dict[str, str] | None = None
) -> Dataset:
    """What the server answers to dicomweb-client."""
    with requests.Session() as session:
        url = f"{str(who.client.base_url).rstrip('/')}/dicomweb"
        client = DICOMwebClient(url, session, headers=who.headers | (headers or {}))
        return await asyncio.to_thread(client.store_instances, datasets, study)


async def post(who: IngestUser, content: bytes, *, study: str = "", **headers: str) -> httpx.Response:
    path = f"/dicomweb/studies{study and '/'}{study}"
    return await who.client.post(path, content=content, headers=RELATED | who.headers | headers)


def references(sequence: Sequence[Dataset]) -> set[tuple[str, str]]:
    return {(item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) for item in sequence}


def failures(response: httpx.Response) -> set[tuple[str, int]]:
    """SOP Instance UIDs, empty where there is none, and failure reasons."""
    module = Dataset.from_json(response.json())
    items = [*module.get("FailedSOPSequence", []), *module.get("OtherFailuresSequence", [])]
    return {(item.get("ReferencedSOPInstanceUID", ""), item.FailureReason) for item in items}


async def only_batch(who: IngestUser) -> dict[str, Any]:
    (batch,) = (await who.call("GET", "")).json()["batches"]
    return dict(batch)


@pytest.mark.parametrize("accept", ["application/dicom+json", "application/dicom+xml", "*/*"])
async def test_instances_are_stored_as_one_closed_batch_and_named_in_the_response(
    user: MakeUser, objects: S3ObjectStore, accept: str
) -> None:
    tenant = new_tenant()
    doctor = user(tenant)
    datasets = [instance() for _ in range(3)]
    module = await store(doctor, datasets, headers={"Accept": accept})
    assert references(module.ReferencedSOPSequence) == {(each.SOPClassUID, each.SOPInstanceUID) for each in datasets}
    assert module["RetrieveURL"].is_empty
    assert "FailedSOPSequence" not in module
    batch = await only_batch(doctor)
    assert (batch["label"], batch["priority"], batch["state"]) == ("DICOMweb STOW-RS", "routine", "processing")
    assert batch["counts"]["queued"] == 3
    files = await doctor.files(batch["batch_id"])
    assert files.keys() == {"instance-1.dcm", "instance-2.dcm", "instance-3.dcm"}
    kept = await objects.get(keys.instance(tenant, files["instance-2.dcm"]["instance_id"]))
    assert dcmread(io.BytesIO(kept)) == datasets[1]


async def test_a_body_sent_in_chunks_is_stored(user: MakeUser) -> None:
    doctor = user(new_tenant())
    assert len((await store(doctor, [instance(rows=1024, columns=1024)])).ReferencedSOPSequence) == 1


async def test_instances_of_the_study_in_the_path_are_stored_and_others_fail(user: MakeUser) -> None:
    doctor = user(new_tenant())
    wanted, other, known = instance(), instance(), instance()
    await store(doctor, [known])
    module = await store(doctor, [wanted, other, known], wanted.StudyInstanceUID)
    assert references(module.ReferencedSOPSequence) == {(CTImageStorage, wanted.SOPInstanceUID)}
    assert references(module.FailedSOPSequence) == {
        (CTImageStorage, other.SOPInstanceUID),
        (CTImageStorage, known.SOPInstanceUID),
    }
    assert {item.FailureReason for item in module.FailedSOPSequence} == {0xA901}


async def test_where_all_instances_fail_the_answer_is_a_conflict_with_each_reason(user: MakeUser) -> None:
    doctor = user(new_tenant())
    no_pixels, cut, original = image(), image(), image()
    del no_pixels.PixelData
    assert (await post(doctor, body_of([encode(original)]))).status_code == 200
    original.BodyPartExamined = "CHEST"
    response = await post(doctor, body_of([encode(no_pixels), encode(cut)[:-9], encode(original), b"Dear colleague"]))
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/dicom+json"
    assert failures(response) == {
        (no_pixels.SOPInstanceUID, 0x0122),
        (cut.SOPInstanceUID, 0xC000),
        (original.SOPInstanceUID, 0x0111),
        ("", 0xC000),
    }


async def test_some_stored_and_some_failed_is_accepted(user: MakeUser) -> None:
    doctor = user(new_tenant())
    response = await post(doctor, body_of([dicom_file(), dicom_file(rows=1024, columns=2048), dicom_file()[:-10]]))
    assert response.status_code == 202
    assert len(Dataset.from_json(response.json()).ReferencedSOPSequence) == 1
    batch = await only_batch(doctor)
    assert (batch["counts"]["queued"], batch["counts"]["rejected"]) == (1, 2)
    files = await doctor.files(batch["batch_id"])
    assert {name: file["reason"] for name, file in files.items()} == {
        "instance-1.dcm": None,
        "instance-2.dcm": "too_large",
        "instance-3.dcm": "truncated",
    }


async def test_the_same_instance_again_is_stored_and_not_twice(user: MakeUser) -> None:
    doctor = user(new_tenant())
    dataset = instance()
    first, again = await store(doctor, [dataset]), await store(doctor, [dataset, dataset])
    assert len(again.ReferencedSOPSequence) == 2
    assert references(first.ReferencedSOPSequence) == references(again.ReferencedSOPSequence)
    batches = (await doctor.call("GET", "")).json()["batches"]
    ids = {file["instance_id"] for each in batches for file in (await doctor.files(each["batch_id"])).values()}
    assert len(ids) == 1


async def test_an_archive_is_not_opened(user: MakeUser) -> None:
    doctor = user(new_tenant())
    response = await post(doctor, body_of([zip_of({"a.dcm": dicom_file()})]))
    assert (response.status_code, failures(response)) == (409, {("", 0xC000)})
    (file,) = (await doctor.files((await only_batch(doctor))["batch_id"])).values()
    assert file["reason"] == "not_dicom"


async def test_a_part_says_its_name_and_type_where_it_wants_to(user: MakeUser) -> None:
    doctor = user(new_tenant())
    named = part(dicom_file(), "Content-Type: application/dicom", 'Content-Disposition: attachment; filename="x.dcm"')
    picture = part(dicom_file(), "Content-Type: image/jpeg")
    response = await post(doctor, named + picture + part(dicom_file(), "MIME-Version: 1.0") + END)
    assert response.status_code == 202
    files = await doctor.files((await only_batch(doctor))["batch_id"])
    assert {name: file["reason"] for name, file in files.items()} == {
        "x.dcm": None,
        "instance-2.dcm": "not_dicom",
        "instance-3.dcm": None,
    }


@pytest.mark.parametrize("content", [b"", END, b"no boundary in it", part(dicom_file())[:-60]])
async def test_a_malformed_body_is_a_bad_request_and_its_batch_is_closed(user: MakeUser, content: bytes) -> None:
    doctor = user(new_tenant())
    code = "empty_upload" if content in {b"", END} else "malformed_multipart"
    assert_problem(await post(doctor, content), 400, code)
    batches = (await doctor.call("GET", "")).json()["batches"]
    assert all(batch["state"] == "done" for batch in batches)


async def test_whole_instances_before_a_fault_are_kept_and_counted(user: MakeUser) -> None:
    doctor = user(new_tenant())
    problem = assert_problem(await post(doctor, body_of([dicom_file()])[:-10]), 400, "malformed_multipart")
    assert problem["accepted"] == 0
    problem = assert_problem(
        await post(doctor, part(dicom_file()) + part(dicom_file())[:-60]), 400, "malformed_multipart"
    )
    assert (problem["accepted"], problem["rejected"]) == (1, 0)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/dicom",
        "multipart/form-data; boundary=boundary",
        "multipart/related; boundary=boundary",
        'multipart/related; type="application/dicom+json"; boundary=boundary',
        'multipart/related; type="application/dicom"',
    ],
)
async def test_another_media_type_is_refused(user: MakeUser, content_type: str) -> None:
    doctor = user(new_tenant())
    response = await post(doctor, body_of([dicom_file()]), **{"Content-Type": content_type})
    assert_problem(response, 415, "not_multipart_related")
    assert (await doctor.call("GET", "")).json()["batches"] == []


async def test_a_response_that_the_client_would_not_take_is_not_made(user: MakeUser) -> None:
    doctor = user(new_tenant())
    response = await post(doctor, body_of([dicom_file()]), Accept="text/html")
    assert_problem(response, 406, "not_acceptable")
    assert (await doctor.call("GET", "")).json()["batches"] == []


@pytest.mark.parametrize("study", ["abc", "1.2.x", "1" * 65])
async def test_a_study_that_is_not_a_uid_is_a_bad_request(user: MakeUser, study: str) -> None:
    response = await post(user(new_tenant()), body_of([dicom_file()]), study=study)
    assert_problem(response, 400, "invalid_study_uid")


async def test_nobody_stores_without_a_token(user: MakeUser) -> None:
    stranger = IngestUser(user(new_tenant()).client, {})
    assert_problem(await post(stranger, body_of([dicom_file()])), 401, "unauthorized")


async def test_the_bounds_of_uploads_hold(settings: IngestSettings, serving: Serving, issuer: TestIssuer) -> None:
    small = settings.upload.model_copy(update={"max_files": 2, "max_body_bytes": 10_000})
    async with serving(upload=small) as address, httpx.AsyncClient(base_url=address) as client:
        doctor = IngestUser(client, issuer.bearer(new_tenant(), "dr-a"))
        problem = assert_problem(await post(doctor, body_of([b"1", b"2", b"3"])), 413, "too_many_files")
        assert problem["rejected"] == 2
        assert_problem(await post(doctor, body_of([bytes(10_000)])), 413, "body_too_large")


async def test_a_store_that_is_away_is_answered_503_and_the_next_try_succeeds(
    settings: IngestSettings, serving: Serving, issuer: TestIssuer, user: MakeUser
) -> None:
    tenant = new_tenant()
    content = body_of([dicom_file(), dicom_file()])
    away = settings.objects.model_copy(update={"endpoint": "127.0.0.1:1"})
    async with serving(objects=away) as address, httpx.AsyncClient(base_url=address, timeout=60) as client:
        doctor = IngestUser(client, issuer.bearer(tenant, "dr-a"))
        response = await post(doctor, content)
        problem = assert_problem(response, 503, "storage_unavailable")
        assert response.headers["retry-after"] == "5"
        assert problem["accepted"] == 0
        assert (await only_batch(doctor))["state"] == "done"
    assert (await post(user(tenant), content)).status_code == 200


async def test_another_tenant_learns_nothing_of_an_instance(user: MakeUser) -> None:
    dataset = image()
    assert (await post(user(new_tenant()), body_of([encode(dataset)]))).status_code == 200
    dataset.StudyInstanceUID = new_uid()
    assert (await post(user(new_tenant()), body_of([encode(dataset)]))).status_code == 200
