"""S3 object store behind a small port.

The `minio` client is synchronous: every call runs in a pool of threads of its own.
"""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

from minio.datatypes import Object
from minio.error import S3Error, ServerError

from radrelay_shared.objects.buckets import NoBucketName, Place, bucket_of, place_of, tenant_of
from radrelay_shared.objects.client import ObjectStoreSettings, open_clients
from radrelay_shared.objects.erasing import erase_versions
from radrelay_shared.objects.errors import ObjectNotFound, TenantNotProvisioned
from radrelay_shared.objects.verified_put import CHECKSUM_HEADER, FileUpload, put_verified, sha256_of

T = TypeVar("T")

_NO_OBJECT: Final = {"NoSuchKey", "NoSuchObject", "NotFound"}
_NO_BUCKET: Final = "NoSuchBucket"
_READINESS: Final = "readiness"
"""Whether there is a bucket of this name does not matter: the answer shows that the server knows us."""

_LISTED_AT_ONCE: Final = 1000
"""What S3 gives in one answer."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What the store knows of an object without reading it."""

    key: str
    size_bytes: int
    etag: str
    content_type: str | None
    """Not known from a listing."""
    modified_at: datetime
    sha256: str | None = None
    """Digest of the content, in hexadecimal; None in a listing, and where the server keeps none."""


class ObjectStore(Protocol):
    """What services need of an object store. A key starts with its tenant and a slash.

    Every method may raise the store's own error when it is away.
    """

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        """Store bytes, replacing what was there. Raises TenantNotProvisioned."""

    async def put_file(self, key: str, path: Path, *, sha256: str, content_type: str) -> bool:
        """Store a file whose digest is known, verified and once; False where it was there already.

        Raises TenantNotProvisioned.
        """

    async def get(self, key: str) -> bytes:
        """The whole object. Raises ObjectNotFound."""

    async def get_file(self, key: str, path: Path) -> None:
        """Write the whole object to a file, streamed. Raises ObjectNotFound."""

    async def stat(self, key: str) -> ObjectStat | None:
        """Size, tag and digest, or None where there is no such object."""

    async def delete(self, key: str) -> None:
        """Remove the object; no error where there is none."""

    def list_keys(self, prefix: str) -> AsyncIterator[str]:
        """All keys that start with `prefix`, in the store's order."""

    def list_objects(self, prefix: str) -> AsyncIterator[ObjectStat]:
        """All objects whose keys start with `prefix`, in the order of the keys' bytes, in bounded memory."""

    async def ready(self) -> None:
        """Raise when the store is away or does not know us."""


class ObjectEraser(Protocol):
    """What erasing takes of an object store: rights that who only deletes does not have."""

    async def erase(self, prefix: str) -> int:
        """Remove what lies under keys that start with `prefix`, every old version too; return how many there were.

        May raise the store's own error when it is away, or refuses.
        """


class S3ObjectStore:
    """The port on any S3 server. Use as an async context manager; closing it closes its connections."""

    def __init__(self, settings: ObjectStoreSettings) -> None:
        self._settings = settings
        self._prefix = settings.bucket_prefix
        clients = open_clients(settings)
        self._client, self._http = clients.minio, clients.http
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

    @contextmanager
    def _at(self, key: str) -> Iterator[Place]:
        """Where the object lies, for a block that says what is missing.

        Raises:
            ObjectNotFound, TenantNotProvisioned: it, or the tenant's bucket.
        """
        tenant = key.partition("/")[0]
        try:
            yield place_of(self._prefix, key)
        except NoBucketName as error:
            raise TenantNotProvisioned(tenant) from error
        except S3Error as error:
            if error.code == _NO_BUCKET:
                raise TenantNotProvisioned(tenant) from error
            if error.code in _NO_OBJECT:
                raise ObjectNotFound(key) from error
            raise

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        """Store bytes, replacing what was there.

        Raises:
            TenantNotProvisioned: the tenant has no bucket.
        """

        def store() -> None:
            with self._at(key) as place:
                self._client.put_object(
                    bucket_name=place.bucket,
                    object_name=place.name,
                    data=io.BytesIO(data),
                    length=len(data),
                    content_type=content_type,
                )

        await self._run(store)

    async def put_file(self, key: str, path: Path, *, sha256: str, content_type: str) -> bool:
        """Store a file, streamed from disk, only if there is no object of this key; the server verifies it.

        For keys that stand for their content. Where there is an object already it counts as this one if it has the
        same size and, where the server keeps one, the same digest; otherwise it is not what its key says (written past
        us, or damaged) and is replaced. On a server that knows no conditions it is written anew.

        Args:
            key: what it is stored as.
            path: the file.
            sha256: lower-case hexadecimal digest of the file; it is not computed again.
            content_type: its media type.

        Returns:
            False where the object was there already.

        Raises:
            TenantNotProvisioned: the tenant has no bucket.
        """

        def store() -> bool:
            with self._at(key) as place:
                upload = FileUpload(place, path, path.stat().st_size, sha256, content_type)
                if put_verified(self._http, self._settings, upload, only_if_absent=True):
                    return True
                found = self._look(key, place)
                if found is not None:
                    if found.size_bytes == upload.size_bytes and found.sha256 in {None, sha256}:
                        return False
                    _log.error("an object is not what its key stands for, and is replaced", extra={"object_key": key})
                return put_verified(self._http, self._settings, upload, only_if_absent=False)

        return await self._run(store)

    async def get(self, key: str) -> bytes:
        """The whole object.

        Raises:
            ObjectNotFound: no object has this key.
        """

        def read() -> bytes:
            with self._at(key) as place:
                response = self._client.get_object(bucket_name=place.bucket, object_name=place.name)
            try:
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()

        return await self._run(read)

    async def get_file(self, key: str, path: Path) -> None:
        """Write the whole object to a file, streamed.

        Raises:
            ObjectNotFound: no object has this key.
        """

        def fetch() -> None:
            with self._at(key) as place:
                self._client.fget_object(bucket_name=place.bucket, object_name=place.name, file_path=str(path))

        await self._run(fetch)

    async def stat(self, key: str) -> ObjectStat | None:
        """Size, tag and digest, or None where there is no such object."""

        def look() -> ObjectStat | None:
            try:
                with self._at(key) as place:
                    return self._look(key, place)
            except TenantNotProvisioned:
                return None

        return await self._run(look)

    def _look(self, key: str, place: Place) -> ObjectStat | None:
        try:
            found = self._client.stat_object(
                bucket_name=place.bucket, object_name=place.name, extra_headers={"x-amz-checksum-mode": "ENABLED"}
            )
        except S3Error as error:
            if error.code in _NO_OBJECT:
                return None
            raise
        return _stat(key, found)

    async def delete(self, key: str) -> None:
        """Remove the object; no error where there is none. Where versions are kept, it is one of them for a time."""

        def remove() -> None:
            try:
                with self._at(key) as place:
                    self._client.remove_object(bucket_name=place.bucket, object_name=place.name)
            except ObjectNotFound:
                return

        await self._run(remove)

    async def erase(self, prefix: str) -> int:
        """Remove what lies under keys that start with `prefix`, every old version too; return how many there were.

        Takes the rights to list and delete versions (`s3:ListBucketVersions`, `s3:DeleteObjectVersion`). What is
        stored under such a key meanwhile may stay.

        Raises:
            ValueError: the prefix names no tenant, or nothing of it: no tenant is erased by mistake.
            minio.error.S3Error: the server kept something.
        """
        if not prefix.partition("/")[2]:
            raise ValueError(f"{prefix!r} names nothing of a tenant")

        def remove() -> int:
            try:
                with self._at(prefix) as place:
                    return erase_versions(self._client, place)
            except TenantNotProvisioned:
                return 0

        return await self._run(remove)

    async def list_keys(self, prefix: str) -> AsyncIterator[str]:
        """All keys that start with `prefix`, in the store's order; of all tenants where it does not name one whole."""
        async for found in self.list_objects(prefix):
            yield found.key

    async def list_objects(self, prefix: str) -> AsyncIterator[ObjectStat]:
        """All objects whose keys start with `prefix`, in the order of the keys' bytes, in bounded memory.

        Of all tenants, one after the other, where it does not name one whole.
        """
        tenant, slash, name = prefix.partition("/")
        tenants = [tenant] if slash else await self._run(lambda: self._tenants(tenant))
        for each in tenants:
            try:
                place = Place(bucket_of(self._prefix, each), name)
            except NoBucketName:
                continue
            listing = self._client.list_objects(bucket_name=place.bucket, prefix=place.name, recursive=True)
            while page := await self._run(lambda: _next_page(listing)):  # noqa: B023  # awaited at once
                for found in page:
                    yield _stat(f"{each}/{found.object_name}", found)

    def _tenants(self, start: str) -> list[str]:
        names = (tenant_of(self._prefix, bucket.name) for bucket in self._client.list_buckets())
        return sorted(name for name in names if name is not None and name.startswith(start))

    async def ready(self) -> None:
        """Raise when the store is away or does not know us."""
        await self._run(lambda: self._client.bucket_exists(bucket_name=f"{self._prefix}-{_READINESS}"))


def _next_page(listing: Iterator[Object]) -> list[Object]:
    """What comes next in a listing; nothing at its end, and where there is no such bucket."""
    try:
        return list(islice(listing, _LISTED_AT_ONCE))
    except S3Error as error:
        if error.code == _NO_BUCKET:
            return []
        raise


def _stat(key: str, found: Object) -> ObjectStat:
    if found.object_name is None or found.last_modified is None:
        raise ServerError("the store names an object without its key or its time", HTTPStatus.OK)
    checksum = (found.metadata or {}).get(CHECKSUM_HEADER)
    return ObjectStat(
        key, found.size or 0, found.etag or "", found.content_type, found.last_modified, sha256_of(checksum)
    )
