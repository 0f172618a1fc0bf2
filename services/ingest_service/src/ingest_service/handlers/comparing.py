"""Objects of the store and rows of the database beside each other."""

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime
from uuid import UUID

from ingest_service.domain.reconciling import Fault, Finding, FindingKind, ObjectRecord, Shelf, kind_of
from radrelay_shared.objects import ObjectStat, keys


def prefix_of(shelf: Shelf, tenant: str) -> str:
    """What the keys on a tenant's shelf start with."""
    return keys.instances(tenant) if shelf is Shelf.INSTANCES else keys.all_rejected(tenant)


def row_id_of(shelf: Shelf, tenant: str, key: str) -> UUID | None:
    """The row that an object belongs to; None where the key is none that we give."""
    try:
        row_id = UUID(key.removeprefix(prefix_of(shelf, tenant)).removesuffix(".dcm"))
    except ValueError:
        return None
    key_of = keys.instance if shelf is Shelf.INSTANCES else keys.rejected
    return row_id if key_of(tenant, row_id) == key else None


def compare(
    tenant: str, shelf: Shelf, found: ObjectStat | None, record: ObjectRecord | None, stored_before: datetime
) -> Finding | None:
    """What follows from an object and the row with its key, of which one may be missing.

    An object without a row is left alone unless it was stored before the given time: its row may be on its way.
    """
    if record is None:
        if found is None or found.modified_at >= stored_before:
            return None
        row_id = row_id_of(shelf, tenant, found.key)
        return Finding(tenant, FindingKind.ORPHAN, shelf, found.key, row_id, None, found.size_bytes)
    fault = None
    if found is None:
        fault = Fault.MISSING
    elif found.size_bytes != record.size_bytes:
        fault = Fault.SIZE
    size_bytes = found.size_bytes if found else record.size_bytes
    kind = kind_of(shelf, record, fault)
    return Finding(tenant, kind, shelf, record.key, record.row_id, fault, size_bytes) if kind else None


async def side_by_side(
    objects: AsyncIterator[ObjectStat], records: AsyncIterator[ObjectRecord]
) -> AsyncGenerator[tuple[ObjectStat | None, ObjectRecord | None], None]:
    """Objects and records of the same key together, each alone where the other has none; both come by key."""
    found, record = await anext(objects, None), await anext(records, None)
    while found is not None or record is not None:
        if record is None or (found is not None and found.key < record.key):
            yield found, None
            found = await anext(objects, None)
        elif found is None or record.key < found.key:
            yield None, record
            record = await anext(records, None)
        else:
            yield found, record
            found, record = await anext(objects, None), await anext(records, None)
