"""What intake puts into the object store: once, verified, and only for tenants that are there."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator

import httpx
import pytest

from ingest_service.domain.identity import instance_id_of
from radrelay_local.tenants.buckets import TenantBuckets
from radrelay_shared.objects import ObjectStoreSettings, S3ObjectStore, keys, open_clients
from support.dicom_files import dicom_file
from support.ingest_api import IngestUser, assert_problem
from support.stack import Infrastructure
from support.tenants import new_tenant

MakeUser = Callable[..., IngestUser]


@pytest.fixture
def buckets(infra: Infrastructure) -> Iterator[TenantBuckets]:
    with TenantBuckets(infra.objects) as opened:
        yield opened


def versions(settings: ObjectStoreSettings, tenant: str) -> int:
    found = open_clients(settings).minio.list_objects(
        bucket_name=f"{settings.bucket_prefix}-{tenant}", recursive=True, include_version=True
    )
    return len(list(found))


def key_of(tenant: str, content: bytes) -> tuple[str, str]:
    """Where the file of `dr-a` is stored, and its digest."""
    sha256 = hashlib.sha256(content).hexdigest()
    return keys.instance(tenant, instance_id_of(tenant, "dr-a", sha256)), sha256


async def upload(doctor: IngestUser, content: bytes) -> None:
    outcome = await doctor.upload(await doctor.open_batch(), {"a.dcm": content})
    assert len(outcome["accepted"]) == 1


async def test_a_stored_file_has_its_digest_as_its_checksum(user: MakeUser, objects: S3ObjectStore) -> None:
    tenant, content = new_tenant(), dicom_file()
    await upload(user(tenant), content)
    key, sha256 = key_of(tenant, content)
    found = await objects.stat(key)
    assert found is not None
    assert (found.size_bytes, found.sha256) == (len(content), sha256)


async def test_an_object_that_a_crash_left_behind_is_used_and_not_written_again(
    user: MakeUser, objects: S3ObjectStore, infra: Infrastructure
) -> None:
    tenant, content = new_tenant(), dicom_file()
    await objects.put(key_of(tenant, content)[0], content, content_type="application/dicom")
    await upload(user(tenant), content)
    assert await asyncio.to_thread(versions, infra.objects, tenant) == 1


async def test_a_torn_object_is_replaced_by_the_file_and_kept_as_an_old_version(
    user: MakeUser, objects: S3ObjectStore, infra: Infrastructure
) -> None:
    tenant, content = new_tenant(), dicom_file()
    key, _ = key_of(tenant, content)
    await objects.put(key, content[:100], content_type="application/dicom")
    await upload(user(tenant), content)
    assert await objects.get(key) == content
    assert await asyncio.to_thread(versions, infra.objects, tenant) == 2


async def test_an_upload_for_a_tenant_that_is_not_provisioned_is_forbidden_until_it_is(
    user: MakeUser, buckets: TenantBuckets
) -> None:
    tenant = new_tenant()
    await asyncio.to_thread(buckets.remove, tenant, erase=False)
    doctor = user(tenant)
    batch_id = await doctor.open_batch()
    for files in ({"a.dcm": dicom_file()}, {"not-dicom": b"no"}):
        problem = assert_problem(await doctor.send(batch_id, files), 403, "tenant_not_provisioned")
        assert (problem["accepted"], problem["rejected"]) == (0, 0)
    assert await doctor.files(batch_id) == {}
    await asyncio.to_thread(buckets.add, tenant)
    assert len((await doctor.upload(batch_id, {"a.dcm": dicom_file()}))["accepted"]) == 1


async def test_stow_for_a_tenant_that_is_not_provisioned_is_forbidden(
    user: MakeUser, buckets: TenantBuckets, service: str
) -> None:
    tenant = new_tenant()
    await asyncio.to_thread(buckets.remove, tenant, erase=False)
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + dicom_file() + b"\r\n--b--\r\n"
    headers = {**user(tenant).headers, "Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    async with httpx.AsyncClient(base_url=service, timeout=30) as client:
        response = await client.post("/dicomweb/studies", content=body, headers=headers)
    assert_problem(response, 403, "tenant_not_provisioned")
