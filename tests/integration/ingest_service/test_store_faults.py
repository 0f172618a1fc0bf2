"""An object store that fails, is slow or says nothing in the middle of an upload."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest_service.adapters.records import PostgresRecords
from ingest_service.domain.reconciling import FindingKind
from ingest_service.handlers.reconciling import Reconciler, Reconciliation
from ingest_service.settings import IngestSettings
from radrelay_shared.objects import S3ObjectStore
from support.dicom_files import dicom_file, zip_of
from support.dicom_network import nothing_left_in
from support.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from support.ingest_api import IngestUser, assert_problem
from support.tenants import new_tenant
from support.tokens import TestIssuer

Serving = Callable[..., AbstractAsyncContextManager[str]]
DELIMITER = b"--boundary\r\n"
END = b"--boundary--\r\n"
FORM = "multipart/form-data; boundary=boundary"
RELATED = 'multipart/related; type="application/dicom"; boundary=boundary'
STORE_TIMEOUT_S = 2.5
SLOWLY_SENT = {"rows": 256, "columns": 512}
"""256 KiB: four seconds at the slow pace of the proxy."""


@pytest.fixture(scope="module")
async def proxy(settings: IngestSettings) -> AsyncIterator[FaultyProxy]:
    """What lies between the service and its store."""
    async with faulty_proxy(f"http://{settings.objects.endpoint}") as running:
        yield running


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faulty-spool")


@pytest.fixture(scope="module")
async def faulty(
    settings: IngestSettings, serving: Serving, proxy: FaultyProxy, spool: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """A service behind the proxy. Its store's client alone would wait for a silent store until a test is over."""
    endpoint = proxy.address.removeprefix("http://")
    upload = {
        "store_timeout_s": STORE_TIMEOUT_S,
        "spool_dir": spool,
        "max_file_bytes": 16 << 20,
        "stall_timeout_s": 30.0,
    }
    changes = {
        "objects": settings.objects.model_copy(update={"endpoint": endpoint, "timeout_s": 120.0}),
        "upload": settings.upload.model_copy(update=upload),
    }
    async with serving(**changes) as address, httpx.AsyncClient(base_url=address, timeout=60) as client:
        yield client
        await proxy.heal()


@pytest.fixture
def tenant() -> str:
    return new_tenant()


@pytest.fixture
async def doctor(
    faulty: httpx.AsyncClient, issuer: TestIssuer, tenant: str, proxy: FaultyProxy
) -> AsyncIterator[IngestUser]:
    yield IngestUser(faulty, issuer.bearer(tenant, "dr-a"))
    await proxy.heal()


@pytest.fixture
def compared(records: PostgresRecords, objects: S3ObjectStore, tenant: str, tmp_path: Path) -> Callable[[], Any]:
    """What the reconciler finds of the tenant, with a digest of every object."""

    async def compare() -> Reconciliation:
        reconciler = Reconciler(records, objects, lambda: tmp_path / "read", grace_s=-60, verify=True)
        return await reconciler.find(tenant, 100)

    return compare


def form_part(name: str, content: bytes) -> bytes:
    head = f'--boundary\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


def related_part(_: str, content: bytes) -> bytes:
    return b"--boundary\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n"


async def images_stored(doctor: IngestUser, number: int) -> None:
    """Return when a batch of the user has so many images."""
    async with asyncio.timeout(20):
        while not await _has_stored(doctor, number):
            await asyncio.sleep(0.02)


async def _has_stored(doctor: IngestUser, number: int) -> bool:
    batches = (await doctor.call("GET", "")).json()["batches"]
    return any(batch["counts"]["queued"] == number for batch in batches)


async def refused_in_the_middle(
    doctor: IngestUser, proxy: FaultyProxy, path: str, media_type: str, parts: list[bytes], first: int, fault: Fault
) -> dict[str, Any]:
    """Send parts; once `first` images of the first part are stored, puts fail. Returns the problem."""

    async def body() -> AsyncIterator[bytes]:
        rest = b"".join([*parts[1:], END])
        yield parts[0] + rest[: len(DELIMITER)]  # a part is whole when the next begins
        await images_stored(doctor, first)
        proxy.struck.clear()
        proxy.lasting = ("PUT", fault)
        yield rest[len(DELIMITER) :]

    response = await doctor.request("POST", path, content=body(), headers={"Content-Type": media_type})
    problem = assert_problem(response, 503, "storage_unavailable")
    assert response.headers["retry-after"] == "5"
    assert fault in proxy.struck
    return problem


async def sent_again(doctor: IngestUser, path: str, media_type: str, parts: list[bytes]) -> httpx.Response:
    return await doctor.request("POST", path, content=b"".join([*parts, END]), headers={"Content-Type": media_type})


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
async def test_files_before_the_fault_stay_and_the_same_upload_again_is_accepted_whole(
    doctor: IngestUser, proxy: FaultyProxy, spool: Path, compared: Callable[[], Any], fault: Fault
) -> None:
    batch_id = await doctor.open_batch()
    path = f"/v1/batches/{batch_id}/files"
    parts = [form_part(f"{number}.dcm", dicom_file(**SLOWLY_SENT)) for number in range(4)]
    problem = await refused_in_the_middle(doctor, proxy, path, FORM, parts, 1, fault)
    assert (problem["accepted"], problem["rejected"]) == (1, 0)
    assert (await doctor.files(batch_id)).keys() == {"0.dcm"}
    await nothing_left_in(spool)
    assert (await compared()).counts[FindingKind.DANGLING] == 0
    await proxy.heal()
    answer = (await sent_again(doctor, path, FORM, parts)).json()
    assert [each["repeated"] for each in sorted(answer["accepted"], key=lambda each: str(each["name"]))] == [
        True,
        False,
        False,
        False,
    ]
    assert (await doctor.batch(batch_id))["counts"]["queued"] == 4
    result = await compared()
    assert (result.records, result.findings) == (4, [])


async def test_nothing_stays_in_the_spool_of_many_files_that_come_in_one_piece(
    doctor: IngestUser, proxy: FaultyProxy, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    batch_id = await doctor.open_batch()
    proxy.lasting = ("PUT", Fault.BROKEN)
    files = {f"{number}.dcm": b"no" for number in range(100)}
    assert_problem(await doctor.send(batch_id, files), 503, "storage_unavailable")
    await nothing_left_in(spool)
    assert "a dependency is away" in caplog.messages


async def test_an_archive_that_the_fault_cut_short_is_accepted_whole_when_it_is_sent_again(
    doctor: IngestUser, proxy: FaultyProxy, spool: Path, compared: Callable[[], Any]
) -> None:
    batch_id = await doctor.open_batch()
    path = f"/v1/batches/{batch_id}/files"
    parts = [form_part(f"{n}.zip", zip_of({f"{m}.dcm": dicom_file() for m in range(12)})) for n in range(2)]
    problem = await refused_in_the_middle(doctor, proxy, path, FORM, parts, 12, Fault.STALL)
    assert problem["accepted"] == 12
    await nothing_left_in(spool)
    assert (await compared()).counts[FindingKind.DANGLING] == 0
    await proxy.heal()
    answer = (await sent_again(doctor, path, FORM, parts)).json()
    assert (len(answer["accepted"]), answer["rejected"]) == (24, [])
    result = await compared()
    assert (result.records, result.findings) == (24, [])


async def test_a_dicomweb_client_is_told_to_retry_and_then_all_is_stored(
    doctor: IngestUser, proxy: FaultyProxy, spool: Path, compared: Callable[[], Any]
) -> None:
    parts = [related_part("", dicom_file()) for _ in range(3)]
    problem = await refused_in_the_middle(doctor, proxy, "/dicomweb/studies", RELATED, parts, 1, Fault.STALL)
    assert problem["accepted"] == 1
    (batch,) = (await doctor.call("GET", "")).json()["batches"]
    assert (batch["counts"]["queued"], batch["closed_at"] is None) == (1, False)
    await nothing_left_in(spool)
    assert (await compared()).counts[FindingKind.DANGLING] == 0
    await proxy.heal()
    response = await sent_again(doctor, "/dicomweb/studies", RELATED, parts)
    assert (response.status_code, len(response.json()["00081199"]["Value"])) == (200, 3)
    result = await compared()
    assert (result.records, result.findings) == (3, [])


async def test_a_refused_file_that_cannot_be_kept_for_the_moment_is_not_recorded_as_refused(
    doctor: IngestUser, proxy: FaultyProxy, compared: Callable[[], Any]
) -> None:
    batch_id = await doctor.open_batch()
    proxy.lasting = ("PUT", Fault.STALL)
    assert_problem(await doctor.send(batch_id, {"a.dcm": b"no"}), 503, "storage_unavailable")
    assert await doctor.files(batch_id) == {}
    await proxy.heal()
    assert [each["reason"] for each in (await doctor.upload(batch_id, {"a.dcm": b"no"}))["rejected"]] == ["not_dicom"]
    assert (await compared()).findings == []


async def test_a_store_that_is_slow_but_within_its_time_is_waited_for(doctor: IngestUser, proxy: FaultyProxy) -> None:
    batch_id = await doctor.open_batch()
    proxy.lasting = ("PUT", Fault.SLOW)
    assert len((await doctor.upload(batch_id, {"a.dcm": dicom_file(rows=64, columns=128)}))["accepted"]) == 1
    assert Fault.SLOW in proxy.struck
