"""Putting files into the object store: in bounded time, and so that no row is ever left without its object."""

import asyncio
import logging

from ingest_service.domain.limits import MIB
from ingest_service.domain.model import Upload
from ingest_service.ports import Transaction
from radrelay_shared.http import Forbidden
from radrelay_shared.objects import ObjectStore, TenantNotProvisioned

_log = logging.getLogger(__name__)


async def put(objects: ObjectStore, upload: Upload, timeout_s: float) -> bool:
    """Put the file, within `timeout_s` and one second for each MiB; False where it was there already.

    Raises:
        Forbidden: the tenant has no bucket.
        TimeoutError: the store took too long; it may still store the file later, which does no harm.
        Exception: whatever a store that is away raises.
    """
    try:
        async with asyncio.timeout(timeout_s + upload.size_bytes / MIB):
            return await objects.put_file(upload.key, upload.path, sha256=upload.sha256, content_type=upload.media_type)
    except TenantNotProvisioned as error:
        _log.warning("a tenant that is not provisioned sends files", extra={"tenant": upload.key.partition("/")[0]})
        raise Forbidden(
            code="tenant_not_provisioned",
            detail="Nothing can be stored for this tenant: whoever operates this installation has not added it.",
        ) from error


async def hold(tx: Transaction, objects: ObjectStore, upload: Upload, timeout_s: float) -> None:
    """Make sure that a file which was there already is still there when `tx`, which records it, commits.

    It may have been an orphan that the reconciler was about to remove. From here on that waits for `tx`, and then
    finds the row; or it came first, and the file is put again. What was put just now is too young to be one.

    Raises:
        TimeoutError, Exception: see `put`.
    """
    await tx.hold_object(upload.key)
    async with asyncio.timeout(timeout_s):
        found = await objects.stat(upload.key)
    if found is None:
        await put(objects, upload, timeout_s)
