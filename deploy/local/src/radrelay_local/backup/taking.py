"""The order in which a backup is taken and put back, so that the parts fit together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from radrelay_local.backup import database, folder, heads, objects
from radrelay_local.backup.folder import Backup, Entry, HeadMessage, Manifest
from radrelay_local.backup.places import Places
from radrelay_local.brokers import connected
from radrelay_local.errors import StackError
from radrelay_shared.objects import S3ObjectStore

_CLIENT = "backup"
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup that was taken."""

    backup: Backup
    objects: int
    heads: int
    pruned: int = 0
    """Objects of the folder that no backup listed any more."""


async def take(places: Places, root: Path, tell: Tell) -> Taken:
    """Take a backup while everything goes on.

    Heads first: none of them is of a record that the database, read after them, does not have. Objects last: every row
    points to an object that was there before it.

    Raises:
        StackError: a server is away or refuses, or a program is missing.
    """
    with folder.alone(root):
        taken = await _copy(places, Backup.begin(root), folder.known_objects(root), tell)
        return replace(taken, pruned=folder.prune(root))


async def _copy(places: Places, backup: Backup, known: Mapping[str, Entry], tell: Tell) -> Taken:
    async with connected(places.nats, name=_CLIENT) as js:
        messages = [each async for each in heads.read(js)]
    folder.write(backup.heads, messages)
    tell(f"{len(messages)} published heads of audit chains")
    taken_at = datetime.now(UTC)
    database.dump(places.database, backup.database, places.program)
    tell(f"database: {backup.database.stat().st_size / 1e6:.1f} MB")
    tenants = objects.tenants(places.objects)
    async with S3ObjectStore(places.objects) as store:
        entries = await objects.copy(store, backup, known)
    folder.write(backup.objects, entries)
    tell(f"{len(entries)} objects of {len(tenants)} tenants")
    manifest = Manifest(
        taken_at=taken_at,
        radrelay=version("radrelay-local"),
        database_sha256=folder.sha256(backup.database),
        tenants=tenants,
    )
    return Taken(backup.finish(manifest), len(entries), len(messages))


async def put_back(places: Places, backup: Backup, *, over: bool, again: timedelta, tell: Tell) -> None:
    """Put a backup back, while no service runs.

    Objects first, then the rows that point to them. What was published in the time before the backup is published
    again when the services start: what was under way then is taken up, and what had been done is known by its inbox.

    Args:
        places: where to.
        backup: a finished one.
        over: whether rows that are there may be lost.
        again: how much of what was published before the backup is published again.
        tell: is told what was done.

    Raises:
        StackError: it is no whole backup, or the place is not as it must be, or a server refuses.
    """
    manifest = backup.manifest()
    if folder.sha256(backup.database) != manifest.database_sha256:
        raise StackError(f"{backup.database} is damaged: it has not the digest that the backup names")
    entries = list(folder.read(backup.objects, Entry))
    if lacking := [each.key for each in entries if not backup.file_of(each.key).is_file()]:
        raise StackError(f"{len(lacking)} objects are missing in the backup, such as {lacking[0]}")
    await database.require_restorable(places.database, places.program, over=over)
    objects.make_buckets(places.objects, manifest.tenants)
    async with S3ObjectStore(places.objects) as store:
        async for done in objects.put_back(store, backup, entries):
            tell(f"{done} of {len(entries)} objects")
    await database.restore(places.database, backup.database, places.program)
    tell("database")
    async with connected(places.nats, name=_CLIENT) as js:
        published = await heads.put_back(js, folder.read(backup.heads, HeadMessage), places.nats.streams)
    tell(f"{published} published heads of audit chains")
    waiting = await database.announce_since(places.database, manifest.taken_at - again)
    tell(f"{waiting} events will be published again when the services start")
