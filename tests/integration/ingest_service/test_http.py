import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from uuid import uuid4

import httpx
import pytest

from support.dicom_files import dicom_file
from support.ingest_api import IngestUser, assert_problem
from support.raw_http import answer, open_request
from support.tenants import new_tenant

MakeUser = Callable[..., IngestUser]
BOUNDARY = "boundary"
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(name: str, content: bytes, *, field: str = "files") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


async def test_an_upload_without_files_is_named_so(user: MakeUser) -> None:
    doctor = user(new_tenant())
    batch_id = await doctor.open_batch()
    path = f"/{batch_id}/files"
    assert_problem(await doctor.call("POST", path), 400, "empty_upload")
    assert_problem(await doctor.call("POST", path, content=END, headers=MULTIPART), 400, "empty_upload")
    assert (await doctor.batch(batch_id))["counts"]["received"] == 0


@pytest.mark.parametrize("content_type", ["application/dicom", "application/json", "multipart/form-data"])
async def test_another_content_type_is_refused(user: MakeUser, content_type: str) -> None:
    doctor = user(new_tenant())
    response = await doctor.call(
        "POST",
        f"/{await doctor.open_batch()}/files",
        content=b"0123456789",
        headers={"Content-Type": content_type},
    )
    assert_problem(response, 415, "not_multipart")


async def test_a_body_that_ends_early_is_refused_and_its_whole_files_are_kept(user: MakeUser) -> None:
    doctor = user(new_tenant())
    batch_id = await doctor.open_batch()
    body = part("a.dcm", dicom_file()) + part("b.dcm", dicom_file())[:-100]
    response = await doctor.call("POST", f"/{batch_id}/files", content=body, headers=MULTIPART)
    problem = assert_problem(response, 400, "malformed_multipart")
    assert (problem["accepted"], problem["rejected"]) == (1, 0)
    assert (await doctor.files(batch_id)).keys() == {"a.dcm"}


async def test_a_file_in_another_field_is_refused_by_name(user: MakeUser) -> None:
    doctor = user(new_tenant())
    body = part("a.dcm", dicom_file()) + part("b.dcm", dicom_file(), field="documents") + END
    response = await doctor.call("POST", f"/{await doctor.open_batch()}/files", content=body, headers=MULTIPART)
    assert [each["name"] for each in response.json()["accepted"]] == ["a.dcm"]
    assert [(each["name"], each["reason"]) for each in response.json()["rejected"]] == [("b.dcm", "unexpected_field")]


def unfinished(
    who: IngestUser, service: str, batch_id: str, body: bytes, *, length: int = 1_000_000
) -> AbstractAsyncContextManager[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """An upload of which no more than `body` is sent while the block runs."""
    headers = {"Content-Length": str(length), **MULTIPART, **who.headers}
    return open_request(service, f"/v1/batches/{batch_id}/files", headers, body)


async def test_a_body_announced_as_too_long_is_refused_before_it_is_sent(user: MakeUser, service: str) -> None:
    doctor = user(new_tenant())
    batch_id = await doctor.open_batch()
    async with unfinished(doctor, service, batch_id, part("a.dcm", b"start"), length=1 << 40) as (reader, _):
        assert_problem(await answer(reader), 413, "body_too_large")


@pytest.mark.parametrize("token", [None, "nonsense"])
async def test_nobody_sends_a_body_without_a_valid_token(user: MakeUser, service: str, token: str | None) -> None:
    doctor = user(new_tenant())
    batch_id = await doctor.open_batch()
    stranger = IngestUser(doctor.client, {"Authorization": f"Bearer {token}"} if token else {})
    async with unfinished(stranger, service, batch_id, part("a.dcm", dicom_file()) + END) as (reader, _):
        assert_problem(await answer(reader), 401, "unauthorized")
    assert (await doctor.batch(batch_id))["counts"]["received"] == 0


async def test_an_upload_that_stalls_is_ended_and_its_whole_files_are_kept(user: MakeUser, service: str) -> None:
    doctor = user(new_tenant())
    batch_id = await doctor.open_batch()
    body = part("a.dcm", dicom_file()) + part("b.dcm", dicom_file())[:200]
    async with unfinished(doctor, service, batch_id, body) as (reader, _):
        problem = assert_problem(await answer(reader), 408, "upload_stalled")
    assert problem["accepted"] == 1
    assert (await doctor.files(batch_id)).keys() == {"a.dcm"}


async def test_a_file_is_handled_while_the_body_still_arrives(user: MakeUser, service: str) -> None:
    doctor = user(new_tenant())
    batch_id = await doctor.open_batch()
    body = part("a.dcm", dicom_file()) + part("b.dcm", b"")[:20]
    async with unfinished(doctor, service, batch_id, body):
        batch = await doctor.wait_for(batch_id, lambda batch: batch["counts"]["received"] == 1)
    assert batch["counts"]["queued"] == 1


async def test_a_client_that_goes_away_loses_nothing_that_was_whole(user: MakeUser, service: str) -> None:
    doctor = user(new_tenant())
    batch_id = await doctor.open_batch()
    body = part("a.dcm", dicom_file()) + part("b.dcm", dicom_file()) + part("c.dcm", dicom_file())[:300]
    async with unfinished(doctor, service, batch_id, body):
        await doctor.wait_for(batch_id, lambda batch: batch["counts"]["received"] >= 1)
    batch = await doctor.wait_for(batch_id, lambda batch: batch["counts"]["received"] == 2)
    assert batch["counts"]["queued"] == 2
    assert batch["state"] == "receiving"
    assert (await doctor.files(batch_id)).keys() == {"a.dcm", "b.dcm"}


async def test_a_closed_batch_takes_no_files_and_closing_again_is_the_same(user: MakeUser) -> None:
    doctor = user(new_tenant())
    batch_id = await doctor.open_batch()
    closed = (await doctor.call("POST", f"/{batch_id}/close")).json()
    assert closed["state"] == "done"
    assert (await doctor.call("POST", f"/{batch_id}/close")).json() == closed
    assert_problem(await doctor.send(batch_id, {"a.dcm": dicom_file()}), 409, "batch_closed")


async def test_a_batch_closed_in_the_middle_of_an_upload_takes_no_more_of_it(user: MakeUser) -> None:
    doctor = user(new_tenant())
    batch_id = await doctor.open_batch()

    async def body() -> AsyncIterator[bytes]:
        yield part("a.dcm", dicom_file()) + f"--{BOUNDARY}\r\n".encode()
        await doctor.wait_for(batch_id, lambda batch: batch["counts"]["received"] == 1)
        assert (await doctor.call("POST", f"/{batch_id}/close")).status_code == 200
        yield part("b.dcm", dicom_file()).removeprefix(f"--{BOUNDARY}\r\n".encode()) + END

    response = await doctor.call("POST", f"/{batch_id}/files", content=body(), headers=MULTIPART)
    problem = assert_problem(response, 409, "batch_closed")
    assert problem["accepted"] == 1
    assert (await doctor.files(batch_id)).keys() == {"a.dcm"}


@pytest.mark.parametrize(
    "body", [{"priority": "soon"}, {"label": ""}, {"label": "x" * 201}, {"label": "a\0b"}, {"owner": "me"}, []]
)
async def test_a_batch_that_does_not_fit_its_schema_is_refused(user: MakeUser, body: object) -> None:
    response = await user(new_tenant()).call("POST", "", json=body)
    assert_problem(response, 422, "invalid_request")


async def test_batches_and_files_are_given_in_pages(user: MakeUser) -> None:
    doctor = user(new_tenant())
    made = [await doctor.open_batch(label=str(number)) for number in range(5)]
    found: list[str] = []
    cursor = None
    while cursor is not None or not found:
        page = (await doctor.call("GET", "", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        found += [batch["batch_id"] for batch in page["batches"]]
        cursor = page["next_cursor"]
    assert found == made[::-1]

    await doctor.upload(made[0], {f"{number}.dcm": b"no" for number in range(5)})
    names: list[str] = []
    cursor = None
    while cursor is not None or not names:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await doctor.call("GET", f"/{made[0]}/files", params=query)).json()
        names += [file["name"] for file in page["files"]]
        cursor = page["next_cursor"]
    assert names == [f"{number}.dcm" for number in range(5)]
    assert_problem(await doctor.call("GET", "", params={"cursor": "nonsense"}), 400, "invalid_cursor")


async def test_what_is_not_there_is_not_found(user: MakeUser) -> None:
    doctor = user(new_tenant())
    for method, path in (("GET", ""), ("GET", "/files"), ("GET", "/events"), ("POST", "/close"), ("POST", "/files")):
        assert_problem(await doctor.call(method, f"/{uuid4()}{path}"), 404, "batch_not_found")


async def test_the_service_is_ready_and_shows_its_metrics(user: MakeUser, service: str) -> None:
    doctor = user(new_tenant())
    await doctor.upload(await doctor.open_batch(), {"a.dcm": dicom_file(), "b.dcm": b"no"})
    async with httpx.AsyncClient(base_url=service) as client:
        assert (await client.get("/readyz")).json()["checked"] == ["objects", "postgresql"]
        metrics = (await client.get("/metrics")).text
    assert 'radrelay_ingest_files_accepted_total{repeated="no"}' in metrics
    assert 'radrelay_ingest_files_rejected_total{reason="not_dicom"}' in metrics
    assert "radrelay_ingest_stored_bytes_total" in metrics
