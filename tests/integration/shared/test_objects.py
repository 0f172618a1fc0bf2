"""The object-store port: one suite on SeaweedFS and on MinIO's own S3 code."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from radrelay_shared.objects import ObjectNotFound, ObjectStoreSettings, S3ObjectStore
from support.stack import Infrastructure

TYPE = "application/octet-stream"


@pytest.fixture(params=["seaweedfs", "minio_gateway"])
def settings(request: pytest.FixtureRequest, infra: Infrastructure) -> ObjectStoreSettings:
    return infra.objects if request.param == "seaweedfs" else infra.minio_gateway


@pytest.fixture
async def store(settings: ObjectStoreSettings) -> AsyncIterator[S3ObjectStore]:
    async with S3ObjectStore(settings) as opened:
        await opened.ensure_bucket()
        yield opened


@pytest.fixture
def prefix() -> str:
    return f"t-{uuid4().hex[:12]}/things"


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


async def test_a_file_of_several_parts_comes_back_whole(store: S3ObjectStore, prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "large"
    content = bytes(range(256)) * (7 * 1024 * 4)  # 7 MiB: more than one part
    path.write_bytes(content)
    await store.put_file(f"{prefix}/large", path, content_type=TYPE)
    assert await store.get(f"{prefix}/large") == content


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


async def test_readiness_fails_where_the_server_is_away() -> None:
    settings = ObjectStoreSettings(endpoint="127.0.0.1:9", access_key="a", secret_key=SecretStr("b" * 8), secure=False)
    async with S3ObjectStore(settings) as store:
        with pytest.raises(Exception, match=r"refused|retries"):
            await store.ready()
