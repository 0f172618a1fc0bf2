"""Rate limits of the running API."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import httpx
import pytest

from radrelay_shared.http import RateLimitSettings
from support.dicom_files import dicom_file
from support.ingest_api import IngestUser, assert_problem
from support.tenants import new_tenant
from support.tokens import TestIssuer

LIMITS = RateLimitSettings(user_writes="3/hour", user_reads="5/hour", address_failures="2/hour")


@pytest.fixture(scope="module")
async def limited(serving: Callable[..., AbstractAsyncContextManager[str]]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API with small limits."""
    async with serving(rate_limits=LIMITS) as address, httpx.AsyncClient(base_url=address, timeout=30) as client:
        yield client


def left(response: httpx.Response) -> str:
    return response.headers["RateLimit"].split(";")[1]


async def test_uploads_count_as_writes_whatever_they_carry(limited: httpx.AsyncClient, issuer: TestIssuer) -> None:
    doctor = IngestUser(limited, issuer.bearer(new_tenant(), "dr-a"))
    batch_id = await doctor.open_batch()
    uploaded = await doctor.send(batch_id, {f"{number}.dcm": dicom_file() for number in range(6)})
    assert (uploaded.status_code, left(uploaded)) == (200, "r=1")
    store = await limited.post("/dicomweb/studies", headers=doctor.headers)
    assert (store.status_code, left(store)) == (415, "r=0")
    assert_problem(await doctor.send(batch_id, {"x.dcm": dicom_file()}), 429, "rate_limited")
    assert (await doctor.batch(batch_id))["counts"]["received"] == 6


async def test_a_stream_of_progress_is_one_read(limited: httpx.AsyncClient, issuer: TestIssuer) -> None:
    doctor = IngestUser(limited, issuer.bearer(new_tenant(), "dr-a"))
    batch_id = await doctor.open_batch()
    await doctor.upload(batch_id, {"a.txt": b"not an image"}, close=True)
    streamed = await limited.get(f"/v1/batches/{batch_id}/events", headers=doctor.headers)
    assert "event: done" in streamed.text
    assert left(streamed) == "r=4"
    assert left(await doctor.call("GET", f"/{batch_id}")) == "r=3"


async def test_an_address_with_bad_tokens_is_refused_and_others_are_not(
    limited: httpx.AsyncClient, issuer: TestIssuer
) -> None:
    # The test is the proxy that the service trusts.
    one, other = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
    bad = {"Authorization": "Bearer nonsense"}
    good = issuer.bearer(new_tenant(), "dr-a")
    statuses = [(await limited.get("/v1/quota", headers=bad | one)).status_code for _ in range(4)]
    assert statuses == [401, 401, 429, 429]
    assert_problem(await limited.get("/v1/quota", headers=good | one), 429, "rate_limited")
    assert (await limited.get("/v1/quota", headers=good | other)).status_code == 200
    assert (await limited.get("/livez", headers=one)).status_code == 200
