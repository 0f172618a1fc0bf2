"""S3 object store behind a small port.

The `minio` client is synchronous: every call runs in a pool of threads of its own.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from pydantic import BaseModel, SecretStr

T = TypeVar("T")

OUTAGES = (MinioException, urllib3.exceptions.HTTPError)
"""What a store that is away, or refuses us, raises."""

_ABSENT = {"NoSuchKey", "NoSuchObject", "NotFound"}


class ObjectStoreSettings(BaseModel):
    """Where the S3 server is and who we are there."""

    endpoint: str
    """host:port, without a scheme."""
    access_key: str
    secret_key: SecretStr
    bucket: str = "radrelay"
    secure: bool = True
    region: str = "us-east-1"
    connections: int = 16
    timeout_s: float = 30.0


class ObjectNotFound(LookupError):
    """No object has this key."""


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What the store knows of an object without reading it."""

    key: str
    size_bytes: int
    etag: str
    content_type: str | None


class ObjectStore(Protocol):
    """What services need of an object store. Every method may raise the store's own error when it is away."""

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        """Store bytes, replacing what was there."""

    async def put_file(self, key: str, path: Path, *, content_type: str) -> None:
        """Store a file, streamed from disk."""

    async def get(self, key: str) -> bytes:
        """The whole object. Raises ObjectNotFound."""

    async def stat(self, key: str) -> ObjectStat | None:
        """Size and tag, or None where there is no such object."""

    async def delete(self, key: str) -> None:
        """Remove the object; no error where there is none."""

    def list_keys(self, prefix: str) -> AsyncIterator[str]:
        """All keys that start with `prefix`, in the store's order."""

    async def ready(self) -> None:
        """Raise when the store or the bucket is away."""


class S3ObjectStore:
    """The port on any S3 server. Use as an async context manager; closing it closes its connections."""

    def __init__(self, settings: ObjectStoreSettings) -> None:
        self._bucket = settings.bucket
        self._http = urllib3.PoolManager(
            maxsize=settings.connections,
            timeout=urllib3.Timeout(connect=5.0, read=settings.timeout_s),
            retries=urllib3.Retry(total=3, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
        )
        self._client = Minio(
            endpoint=settings.endpoint,
            access_key=settings.access_key,
            secret_key=settings.secret_key.get_secret_value(),
            secure=settings.secure,
            region=settings.region,
            http_client=self._http,
        )
        self._threads = ThreadPoolExecutor(max_workers=settings.connections, thread_name_prefix="s3")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        self._http.clear()

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def ensure_bucket(self) -> None:
        """Make the bucket where it is not there yet; safe to call from several processes at once."""

        def ensure() -> None:
            if self._client.bucket_exists(bucket_name=self._bucket):
                return
            try:
                self._client.make_bucket(bucket_name=self._bucket)
            except S3Error as error:
                if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                    raise

        await self._run(ensure)

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        """Store bytes, replacing what was there."""
        await self._run(
            lambda: self._client.put_object(
                bucket_name=self._bucket,
                object_name=key,
                data=io.BytesIO(data),
                length=len(data),
                content_type=content_type,
            )
        )

    async def put_file(self, key: str, path: Path, *, content_type: str) -> None:
        """Store a file, streamed from disk."""
        await self._run(
            lambda: self._client.fput_object(
                bucket_name=self._bucket, object_name=key, file_path=str(path), content_type=content_type
            )
        )

    async def get(self, key: str) -> bytes:
        """The whole object.

        Raises:
            ObjectNotFound: no object has this key.
        """

        def read() -> bytes:
            try:
                response = self._client.get_object(bucket_name=self._bucket, object_name=key)
            except S3Error as error:
                if error.code in _ABSENT:
                    raise ObjectNotFound(key) from error
                raise
            try:
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()

        return await self._run(read)

    async def stat(self, key: str) -> ObjectStat | None:
        """Size and tag, or None where there is no such object."""

        def look() -> ObjectStat | None:
            try:
                found = self._client.stat_object(bucket_name=self._bucket, object_name=key)
            except S3Error as error:
                if error.code in _ABSENT:
                    return None
                raise
            return ObjectStat(key, found.size or 0, found.etag or "", found.content_type)

        return await self._run(look)

    async def delete(self, key: str) -> None:
        """Remove the object; no error where there is none."""
        await self._run(lambda: self._client.remove_object(bucket_name=self._bucket, object_name=key))

    async def list_keys(self, prefix: str) -> AsyncIterator[str]:
        """All keys that start with `prefix`, in the store's order."""
        pages = self._client.list_objects(bucket_name=self._bucket, prefix=prefix, recursive=True)
        while (found := await self._run(lambda: next(pages, None))) is not None:
            if found.object_name is not None:
                yield found.object_name

    async def ready(self) -> None:
        """Raise when the store or the bucket is away."""
        if not await self._run(lambda: self._client.bucket_exists(bucket_name=self._bucket)):
            raise ObjectNotFound(f"bucket {self._bucket}")
