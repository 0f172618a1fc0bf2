"""The object-store port: one suite on SeaweedFS and on MinIO's own S3 code."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from minio.error import S3Error
from pydantic import SecretStr

from radrelay_local.tenants.buckets import TenantBuckets
from radrelay_shared.objects import (
    ObjectNotFound,
    ObjectStoreSettings,
    S3ObjectStore,
    TenantNotProvisioned,
    open_clients,
)
from support.stack import Infrastructure

TYPE = "application/octet-stream"


def written(folder: Path, content: bytes) -> tuple[Path, str]:
    """A file with this content, and its digest."""
    path = folder / uuid4().hex
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


@pytest.fixture(params=["seaweedfs", "minio_gateway"])
def server(request: pytest.FixtureRequest) -> str:
    """SeaweedFS verifies digests and knows conditions; MinIO's gateway verifies, and knows no conditions."""
    return str(request.param)


@pytest.fixture
def settings(server: str, infra: Infrastructure) -> ObjectStoreSettings:
    return infra.objects if server == "seaweedfs" else infra.minio_gateway


@pytest.fixture
async def store(settings: ObjectStoreSettings) -> AsyncIterator[S3ObjectStore]:
    async with S3ObjectStore(settings) as opened:
        yield opened


@pytest.fixture
def tenant(settings: ObjectStoreSettings) -> str:
    name = f"t-{uuid4().hex[:12]}"
    with TenantBuckets(settings) as buckets:
        buckets.add(name)
    return name


@pytest.fixture
def prefix(tenant: str) -> str:
    return f"{tenant}/things"


async def test_what_is_put_is_got(store: S3ObjectStore, prefix: str) -> None:
    await store.put(f"{prefix}/a", b"abc", content_type="image/png")
    assert await store.get(f"{prefix}/a") == b"abc"
    found = await store.stat(f"{prefix}/a")
    assert found is not None
    assert (found.key, found.size_bytes, found.content_type) == (f"{prefix}/a", 3, "image/png")


async def test_a_second_put_replaces_the_first_and_changes_its_tag(store: S3ObjectStore, prefix: str) -> None:
    await store.put(f"{prefix}/a", b"one", content_type=TYPE)
    first = await store.stat(f"{prefix}/a")
    await store.put(f"{prefix}/a", b"two", content_type=TYPE)
    second = await store.stat(f"{prefix}/a")
    assert await store.get(f"{prefix}/a") == b"two"
    assert first is not None
    assert second is not None
    assert first.etag != second.etag


async def test_a_large_file_is_stored_once_and_comes_back_whole(
    store: S3ObjectStore, server: str, prefix: str, tmp_path: Path
) -> None:
    content = bytes(range(256)) * (24 * 1024 * 4)  # 24 MiB: the second time the answer comes while it is being sent
    path, sha256 = written(tmp_path, content)
    key = f"{prefix}/a b+c=ü%20.dcm"
    stored = [await store.put_file(key, path, sha256=sha256, content_type=TYPE) for _ in range(2)]
    assert stored == [True, server == "minio_gateway"]
    assert await store.get(key) == content
    found = await store.stat(key)
    assert found is not None
    assert (found.size_bytes, found.sha256) == (len(content), sha256 if server == "seaweedfs" else None)


async def test_a_file_that_is_not_what_its_digest_says_is_not_stored(
    store: S3ObjectStore, prefix: str, tmp_path: Path
) -> None:
    path, _ = written(tmp_path, b"damaged on this disk")
    with pytest.raises(S3Error, match=r"BadDigest|XAmzContentSHA256Mismatch"):
        await store.put_file(f"{prefix}/a", path, sha256=hashlib.sha256(b"as received").hexdigest(), content_type=TYPE)
    assert await store.stat(f"{prefix}/a") is None


@pytest.mark.parametrize("torn", [b"as recei", b"as RECEIVED"], ids=["another size", "another digest"])
async def test_an_object_that_is_not_what_its_key_stands_for_is_replaced(
    store: S3ObjectStore, prefix: str, tmp_path: Path, torn: bytes
) -> None:
    torn_path, torn_sha256 = written(tmp_path, torn)
    await store.put_file(f"{prefix}/a", torn_path, sha256=torn_sha256, content_type=TYPE)
    path, sha256 = written(tmp_path, b"as received")
    assert await store.put_file(f"{prefix}/a", path, sha256=sha256, content_type=TYPE)
    assert await store.get(f"{prefix}/a") == b"as received"


async def test_of_the_same_file_put_side_by_side_one_object_remains(
    store: S3ObjectStore, server: str, prefix: str, tmp_path: Path
) -> None:
    path, sha256 = written(tmp_path, b"as received")
    stored = await asyncio.gather(
        *(store.put_file(f"{prefix}/a", path, sha256=sha256, content_type=TYPE) for _ in range(8))
    )
    if server == "seaweedfs":
        assert sorted(stored) == [False] * 7 + [True]
    assert [key async for key in store.list_keys(prefix)] == [f"{prefix}/a"]


@pytest.mark.parametrize("name", ["nobody", "ends-so-", "n" * 60])
async def test_a_tenant_without_a_bucket_has_nothing_and_gets_nothing(
    store: S3ObjectStore, tmp_path: Path, name: str
) -> None:
    path, sha256 = written(tmp_path, b"abc")
    with pytest.raises(TenantNotProvisioned):
        await store.put_file(f"{name}/a", path, sha256=sha256, content_type=TYPE)
    with pytest.raises(TenantNotProvisioned):
        await store.put(f"{name}/a", b"abc", content_type=TYPE)
    with pytest.raises(ObjectNotFound):
        await store.get(f"{name}/a")
    with pytest.raises(ObjectNotFound):
        await store.get_file(f"{name}/a", tmp_path / "got")
    assert await store.stat(f"{name}/a") is None
    await store.delete(f"{name}/a")
    assert [key async for key in store.list_keys(f"{name}/")] == []


async def test_each_tenant_s_objects_lie_in_its_bucket_under_the_rest_of_their_key(
    store: S3ObjectStore, settings: ObjectStoreSettings, tenant: str
) -> None:
    await store.put(f"{tenant}/instances/a.dcm", b"abc", content_type=TYPE)
    client = open_clients(settings).minio
    found = client.list_objects(bucket_name=f"radrelay-{tenant}", recursive=True)
    assert [each.object_name for each in found] == ["instances/a.dcm"]


async def test_a_listing_that_names_no_tenant_goes_through_all(
    store: S3ObjectStore, settings: ObjectStoreSettings
) -> None:
    start = f"t-{uuid4().hex[:12]}"
    with TenantBuckets(settings) as buckets:
        for name in ("one", "two"):
            buckets.add(f"{start}-{name}")
    for name in ("two", "one"):
        await store.put(f"{start}-{name}/a", b"x", content_type=TYPE)
    assert [key async for key in store.list_keys(start)] == [f"{start}-one/a", f"{start}-two/a"]


async def test_an_empty_object_and_a_key_with_odd_characters_are_kept(store: S3ObjectStore, prefix: str) -> None:
    key = f"{prefix}/a b+c=ü%20.dcm"
    await store.put(key, b"", content_type=TYPE)
    assert await store.get(key) == b""
    assert [found async for found in store.list_keys(prefix)] == [key]


async def test_what_is_not_there_is_said_to_be_not_there(store: S3ObjectStore, prefix: str) -> None:
    with pytest.raises(ObjectNotFound):
        await store.get(f"{prefix}/none")
    assert await store.stat(f"{prefix}/none") is None
    await store.delete(f"{prefix}/none")


async def test_a_deleted_object_is_gone(store: S3ObjectStore, prefix: str) -> None:
    await store.put(f"{prefix}/a", b"abc", content_type=TYPE)
    await store.delete(f"{prefix}/a")
    assert await store.stat(f"{prefix}/a") is None


async def test_what_is_erased_is_gone_in_every_version_and_what_is_beside_it_stays(
    store: S3ObjectStore, settings: ObjectStoreSettings, server: str, tenant: str
) -> None:
    for content in (b"one", b"two"):
        for name in ("a/1", "a/2", "ab"):
            await store.put(f"{tenant}/{name}", content, content_type=TYPE)
    await store.delete(f"{tenant}/a/2")
    erased = await store.erase(f"{tenant}/a/")
    assert erased == (5 if server == "seaweedfs" else 1), "two versions, two versions and a mark; or what is there"
    left = await asyncio.to_thread(
        lambda: [
            each.object_name
            for each in open_clients(settings).minio.list_objects(
                bucket_name=f"{settings.bucket_prefix}-{tenant}", recursive=True, include_version=True
            )
        ]
    )
    # MinIO's gateway lists the folder too.
    assert set(left) - {"a/"} == {"ab"}
    assert await store.get(f"{tenant}/ab") == b"two"
    assert await store.erase(f"{tenant}/a/") == 0


async def test_no_whole_tenant_is_erased_by_a_prefix_and_one_without_a_bucket_has_nothing(
    store: S3ObjectStore, tenant: str
) -> None:
    await store.put(f"{tenant}/a", b"one", content_type=TYPE)
    for prefix in (tenant, f"{tenant}/", "", "/"):
        with pytest.raises(ValueError, match="names nothing of a tenant"):
            await store.erase(prefix)
    assert await store.get(f"{tenant}/a") == b"one"
    assert await store.erase("no-such-tenant/a") == 0


async def test_a_listing_stays_under_its_prefix(store: S3ObjectStore, prefix: str) -> None:
    await asyncio.gather(*(store.put(f"{prefix}/{n:02}", b"x", content_type=TYPE) for n in range(12)))
    await store.put(f"{prefix}-other/00", b"x", content_type=TYPE)
    assert [key async for key in store.list_keys(f"{prefix}/")] == [f"{prefix}/{n:02}" for n in range(12)]


async def test_a_call_never_blocks_the_event_loop() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        writer.write(b'HTTP/1.1 200 OK\r\nETag: "tag"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
        writer.close()
        await writer.wait_closed()

    # The server runs in this very loop: a put that blocked it would wait for its own answer for ever.
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server, asyncio.timeout(20):
        port = server.sockets[0].getsockname()[1]
        settings = ObjectStoreSettings(
            endpoint=f"127.0.0.1:{port}", access_key="a", secret_key=SecretStr("b" * 8), secure=False
        )
        async with S3ObjectStore(settings) as store:
            await asyncio.gather(*(store.put(f"t/{n}", b"x" * 100_000, content_type=TYPE) for n in range(4)))


async def test_readiness_needs_no_tenant_and_fails_where_the_server_does_not_know_us(
    settings: ObjectStoreSettings,
) -> None:
    async with S3ObjectStore(settings) as store:
        await store.ready()
    async with S3ObjectStore(settings.model_copy(update={"secret_key": SecretStr("other" * 4)})) as stranger:
        with pytest.raises(S3Error, match="AccessDenied"):
            await stranger.ready()


async def test_readiness_fails_where_the_server_is_away() -> None:
    settings = ObjectStoreSettings(endpoint="127.0.0.1:9", access_key="a", secret_key=SecretStr("b" * 8), secure=False)
    async with S3ObjectStore(settings) as store:
        with pytest.raises(Exception, match=r"refused|retries"):
            await store.ready()


async def test_a_listing_says_size_and_time_in_the_order_of_the_keys(store: S3ObjectStore, prefix: str) -> None:
    # ASCII, as all of our keys: of others in a bucket with versions SeaweedFS gives some first.
    names = ["b", "a", "a-", "a0", "B"]
    for name in names:
        await store.put(f"{prefix}/{name}", name.encode(), content_type=TYPE)
    listed = [each async for each in store.list_objects(f"{prefix}/")]
    assert [each.key for each in listed] == sorted(f"{prefix}/{name}" for name in names)
    for each in listed:
        stat = await store.stat(each.key)
        assert stat is not None
        whole_second = each.modified_at.replace(microsecond=0)  # more is not in the headers of HTTP
        assert (each.size_bytes, whole_second) == (stat.size_bytes, stat.modified_at)
        assert abs((datetime.now(UTC) - each.modified_at).total_seconds()) < 3600
