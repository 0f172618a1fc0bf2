"""The objects of all tenants as files, and back into a store."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from itertools import islice
from typing import Final, TypeVar

from minio.error import S3Error

from radrelay_local.backup.folder import Backup, Entry, TenantTimes, sha256
from radrelay_local.errors import StackError
from radrelay_local.tenants.buckets import TenantBuckets
from radrelay_local.tenants.retention import Retention
from radrelay_shared.objects import ObjectNotFound, ObjectStat, ObjectStore, ObjectStoreSettings

T = TypeVar("T")
R = TypeVar("R")

_AT_ONCE: Final = 16
_DRAWN: Final = "renderings"
"""Pictures that are drawn again when somebody asks for them."""
_ANY_TYPE: Final = "application/octet-stream"


def tenants(settings: ObjectStoreSettings) -> tuple[TenantTimes, ...]:
    """The tenants of a store, with the lifecycles of their buckets."""
    with TenantBuckets(settings) as buckets:
        return tuple(
            TenantTimes(
                tenant=each.tenant,
                rejected_days=each.retention.rejected_days,
                old_version_days=each.retention.old_version_days,
                unfinished_days=each.retention.unfinished_days,
            )
            for each in buckets.all()
        )


def make_buckets(settings: ObjectStoreSettings, wanted: Iterable[TenantTimes]) -> None:
    """Make the buckets of tenants, or mend their settings."""
    with TenantBuckets(settings) as buckets:
        for each in wanted:
            buckets.add(each.tenant, Retention(each.rejected_days, each.old_version_days, each.unfinished_days))


async def copy(store: ObjectStore, backup: Backup, known: Mapping[str, Entry]) -> list[Entry]:
    """Copy what is in no backup yet, and return all that there is now.

    An object that is removed meanwhile is left out.

    Args:
        store: where the objects are.
        backup: where they go.
        known: what earlier backups of the same folder list.
    """

    async def one(found: ObjectStat) -> Entry | None:
        path = backup.file_of(found.key)
        former = known.get(found.key)
        if former and (former.etag, former.size_bytes) == (found.etag, found.size_bytes) and path.is_file():
            return former
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            await store.get_file(found.key, path)
        except ObjectNotFound:
            return None
        now = await store.stat(found.key)
        digest = await asyncio.to_thread(sha256, path)
        kind = (now.content_type if now else None) or _ANY_TYPE
        return Entry(key=found.key, size_bytes=path.stat().st_size, etag=found.etag, sha256=digest, content_type=kind)

    entries: list[Entry] = []
    waiting: list[ObjectStat] = []
    async for found in store.list_objects(""):
        if found.key.split("/")[1] != _DRAWN:
            waiting.append(found)
        if len(waiting) == _AT_ONCE:
            entries += [each for each in await _all(one, waiting) if each]
            waiting = []
    return entries + [each for each in await _all(one, waiting) if each]


async def put_back(store: ObjectStore, backup: Backup, entries: Iterable[Entry]) -> AsyncIterator[int]:
    """Put the objects of a backup into a store, which verifies their digests; yields how many are there so far.

    Raises:
        StackError: a file is missing, or is not what it was.
    """

    async def one(entry: Entry) -> None:
        path = backup.file_of(entry.key)
        if not path.is_file():
            raise StackError(f"{path} is missing in the backup")
        try:
            await store.put_file(entry.key, path, sha256=entry.sha256, content_type=entry.content_type)
        except S3Error as error:
            if path.stat().st_size != entry.size_bytes or await asyncio.to_thread(sha256, path) != entry.sha256:
                raise StackError(f"{path} is damaged: it has not the digest that the backup lists") from error
            raise

    done = 0
    remaining = iter(entries)
    while some := list(islice(remaining, _AT_ONCE)):
        await _all(one, some)
        done += len(some)
        yield done


async def _all(work: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R]:
    return list(await asyncio.gather(*map(work, items)))
