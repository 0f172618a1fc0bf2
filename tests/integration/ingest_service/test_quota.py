"""What a tenant and a user may store in a day, through the API on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, time, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from ingest_service.domain.failures import FailureReason
from ingest_service.settings import QuotaSettings, TenantQuota
from radrelay_shared.database import Database, Scope
from support.dicom_files import dicom_file
from support.ingest_api import IngestUser, assert_problem
from support.tenants import new_tenant
from support.tokens import TestIssuer

MakeUser = Callable[..., IngestUser]
FILE_BYTES = 2000
THREE_FILES, TEN_FILES, TWO_AND_A_HALF, TWO_A_USER, NOTHING = (new_tenant() for _ in range(5))
QUOTA = QuotaSettings(
    tenants={
        THREE_FILES: TenantQuota(tenant_files_per_day=3),
        TEN_FILES: TenantQuota(tenant_files_per_day=10),
        TWO_AND_A_HALF: TenantQuota(tenant_bytes_per_day=FILE_BYTES * 5 // 2),
        TWO_A_USER: TenantQuota(user_bytes_per_day=FILE_BYTES * 2),
        NOTHING: TenantQuota(tenant_files_per_day=0),
    }
)


@pytest.fixture(scope="module")
async def limited(serving: Callable[..., AbstractAsyncContextManager[str]]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API with small quotas for some tenants."""
    async with serving(quota=QUOTA) as address, httpx.AsyncClient(base_url=address, timeout=30) as client:
        yield client


@pytest.fixture
def small(limited: httpx.AsyncClient, issuer: TestIssuer) -> MakeUser:
    """Makes users of that API."""
    return lambda tenant, name="dr-a": IngestUser(limited, issuer.bearer(tenant, name))


def files(number: int, prefix: str = "file") -> dict[str, bytes]:
    """So many different images of FILE_BYTES each: what follows the data set is Data Set Trailing Padding."""
    return {f"{prefix}-{each}.dcm": padded(dicom_file()) for each in range(number)}


def padded(content: bytes) -> bytes:
    """(FFFC,FFFC) OB, PS3.10 section 7.2, brings the file to FILE_BYTES."""
    header = b"\xfc\xff\xfc\xffOB\x00\x00"
    length = FILE_BYTES - len(content) - len(header) - 4
    return content + header + length.to_bytes(4, "little") + bytes(length)


def outcomes(upload: dict[str, Any]) -> tuple[int, list[str]]:
    return len(upload["accepted"]), [each["reason"] for each in upload["rejected"]]


async def standing(who: IngestUser) -> dict[str, Any]:
    response = await who.client.get("/v1/quota", headers=who.headers)
    assert response.status_code == 200, response.text
    content: dict[str, Any] = response.json()
    return content


async def test_files_past_the_quota_are_refused_one_by_one_and_then_the_next_request_until_midnight(
    small: MakeUser, user: MakeUser, database: Database
) -> None:
    doctor = small(THREE_FILES)
    batch_id = await doctor.open_batch()
    sent = files(8)
    assert outcomes(await doctor.upload(batch_id, sent)) == (3, ["quota_exceeded"] * 5)
    assert (await doctor.batch(batch_id))["counts"]["rejected"] == 5

    now = await standing(doctor)
    assert now["tenant_files"] == {"quota": 3, "used": 3, "left": 0}
    assert now["tenant_bytes"]["used"] == now["user_bytes"]["used"] == 3 * FILE_BYTES
    midnight = datetime.combine(datetime.now(UTC).date() + timedelta(days=1), time.min, UTC)
    assert datetime.fromisoformat(now["resets_at"]) == midnight
    # The counters are the database's, whichever replica is asked.
    assert (await standing(user(THREE_FILES)))["tenant_files"]["used"] == 3

    refused = await doctor.send(batch_id, sent)
    assert assert_problem(refused, 429, "quota_exceeded")["violated-policies"] == ["tenant_files"]
    waits_until = datetime.now(UTC) + timedelta(seconds=int(refused.headers["Retry-After"]))
    assert abs(waits_until - midnight) < timedelta(seconds=30)

    async with database.transaction(Scope(THREE_FILES, "dr-a", "clinician")) as session:
        for table in ("tenant_usage", "user_usage"):
            await session.execute(text(f"UPDATE ingest.{table} SET day = day - 1"))
    assert (await standing(doctor))["tenant_files"]["used"] == 0
    # Those of the day before are repeats by now; of the others three fit again.
    assert outcomes(await doctor.upload(batch_id, sent)) == (6, ["quota_exceeded"] * 2)


async def test_uploads_side_by_side_never_pass_the_quota(small: MakeUser) -> None:
    doctors = [small(TEN_FILES, name) for name in ("dr-a", "dr-b")] * 4

    async def upload(doctor: IngestUser, number: int) -> int:
        response = await doctor.send(await doctor.open_batch(), files(4, f"upload-{number}"))
        if response.status_code == 429:
            return 0
        accepted, reasons = outcomes(response.json())
        assert set(reasons) <= {"quota_exceeded"}
        return accepted

    accepted = await asyncio.gather(*(upload(doctor, number) for number, doctor in enumerate(doctors)))
    assert sum(accepted) == 10
    assert (await standing(doctors[0]))["tenant_files"] == {"quota": 10, "used": 10, "left": 0}


async def test_a_file_that_does_not_fit_costs_nothing_and_a_repeat_is_free(small: MakeUser) -> None:
    doctor = small(TWO_AND_A_HALF)
    two = files(2)
    assert outcomes(await doctor.upload(await doctor.open_batch(), two)) == (2, [])
    again = two | files(1, "third") | {"note.txt": b"not an image"}
    accepted, reasons = outcomes(await doctor.upload(await doctor.open_batch(), again))
    assert (accepted, sorted(reasons)) == (2, ["not_dicom", "quota_exceeded"])
    assert (await standing(doctor))["tenant_bytes"] == {
        "quota": FILE_BYTES * 5 // 2,
        "used": 2 * FILE_BYTES,
        "left": FILE_BYTES // 2,
    }


async def test_a_users_quota_stops_that_user_alone(small: MakeUser) -> None:
    doctor, colleague = small(TWO_A_USER), small(TWO_A_USER, "dr-b")
    assert outcomes(await doctor.upload(await doctor.open_batch(), files(3))) == (2, ["quota_exceeded"])
    refused = await doctor.send(await doctor.open_batch(), files(1))
    assert assert_problem(refused, 429, "quota_exceeded")["violated-policies"] == ["user_bytes"]
    assert outcomes(await colleague.upload(await colleague.open_batch(), files(1))) == (1, [])
    other = small(new_tenant())
    assert outcomes(await other.upload(await other.open_batch(), files(3))) == (3, [])


async def store(doctor: IngestUser, contents: list[bytes]) -> httpx.Response:
    parts = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + each + b"\r\n" for each in contents)
    related = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    return await doctor.client.post("/dicomweb/studies", content=parts + b"--b--\r\n", headers=related | doctor.headers)


async def test_stow_says_that_resources_are_out_and_makes_no_batch_when_nothing_is_left(small: MakeUser) -> None:
    doctor = small(TWO_A_USER, "pacs")
    stored = await store(doctor, [*files(3).values()])
    assert stored.status_code == 202
    (failure,) = stored.json()["00081198"]["Value"]
    assert failure["00081197"]["Value"] == [FailureReason.OUT_OF_RESOURCES]
    assert_problem(await store(doctor, [*files(1).values()]), 429, "quota_exceeded")
    assert len((await doctor.call("GET", "")).json()["batches"]) == 1


async def test_a_tenant_whose_quota_is_zero_stores_nothing_and_reads_on(small: MakeUser) -> None:
    doctor = small(NOTHING)
    batch_id = await doctor.open_batch()
    assert_problem(await doctor.send(batch_id, files(1)), 429, "quota_exceeded")
    assert (await doctor.batch(batch_id))["counts"]["received"] == 0
