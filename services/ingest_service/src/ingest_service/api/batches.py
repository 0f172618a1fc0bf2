"""Batches: make, close, read."""

from typing import Final
from uuid import UUID

from fastapi import APIRouter

from ingest_service.api.dependencies import Caller, Cursor, Limit, Services
from ingest_service.api.idempotency import Once
from ingest_service.api.schemas import (
    BatchOut,
    BatchPage,
    FileOut,
    FilePage,
    NewBatch,
    RetryOut,
    aware_time,
    decode_cursor,
    encode_cursor,
    storable_text,
)
from ingest_service.handlers import batches as handlers
from ingest_service.handlers import reading
from ingest_service.handlers.cancelling import cancel_batch as end
from ingest_service.handlers.retrying import retry_batch as send_again
from ingest_service.ports import Page
from radrelay_shared.http import problems

router = APIRouter(prefix="/v1/batches", tags=["batches"])

_OF_A_KEY: Final = {
    400: "`invalid_idempotency_key`",
    409: "`idempotency_key_in_use`: the first request with this key is still at work.",
    422: "`invalid_request`, `idempotency_key_reused`",
}
_OF_A_READ: Final = {404: "`batch_not_found`"}
_OF_A_PAGE: Final = {400: "`invalid_cursor`"}
_OF_AN_ACT: Final = {403: "`not_batch_owner`", **_OF_A_READ}
_OF_A_KEYED_ACT: Final = {**_OF_A_KEY, **_OF_AN_ACT}


@router.post("", status_code=201, responses=problems(_OF_A_KEY))
async def create_batch(body: NewBatch, caller: Caller, services: Services, once: Once) -> BatchOut:
    """Open a batch; files are then added to it, and it is closed when all were sent."""

    async def create(batch_id: UUID) -> BatchOut:
        progress = await handlers.create_batch(
            services.records, caller, batch_id=batch_id, label=body.label, priority=body.priority
        )
        return BatchOut.of(progress)

    return await once.answer(BatchOut, create, content=body.model_dump_json())


@router.get("", responses=problems(_OF_A_PAGE))
async def list_batches(caller: Caller, services: Services, limit: Limit = 50, cursor: Cursor = None) -> BatchPage:
    """The caller's batches, newest first; an administrator's list is the tenant's."""
    after = decode_cursor(cursor, aware_time, UUID)
    found = await reading.list_batches(services.records, services.reads, caller, Page(limit, after))
    full = len(found) == limit
    last = found[-1].batch if full else None
    return BatchPage(
        batches=[BatchOut.of(progress) for progress in found],
        next_cursor=encode_cursor(last.created_at.isoformat(), str(last.batch_id)) if last else None,
    )


@router.get("/{batch_id}", responses=problems(_OF_A_READ))
async def get_batch(batch_id: UUID, caller: Caller, services: Services) -> BatchOut:
    """A batch and where its files stand."""
    return BatchOut.of(await reading.read_batch(services.records, services.reads, caller, batch_id))


@router.get("/{batch_id}/files", responses=problems({**_OF_A_PAGE, **_OF_A_READ}))
async def list_files(
    batch_id: UUID, caller: Caller, services: Services, limit: Limit = 1000, cursor: Cursor = None
) -> FilePage:
    """The files of a batch: what became of each, and why where it was refused or failed."""
    after = decode_cursor(cursor, storable_text, storable_text)
    found = await reading.list_files(services.records, services.reads, caller, batch_id, Page(limit, after))
    last = found[-1] if len(found) == limit else None
    return FilePage(
        files=[FileOut.of(view) for view in found],
        next_cursor=encode_cursor(last.name, last.fingerprint) if last else None,
    )


@router.post(
    "/{batch_id}/close",
    responses=problems(
        _OF_AN_ACT | {409: "`uploads_pending`: a resumable upload has come whole and is taken in; close again later."}
    ),
)
async def close_batch(batch_id: UUID, caller: Caller, services: Services) -> BatchOut:
    """Say that all files were sent; the batch is done when each has its end."""
    return BatchOut.of(await handlers.close_batch(services.records, caller, batch_id))


@router.post("/{batch_id}/retry", responses=problems(_OF_A_KEYED_ACT))
async def retry_batch(batch_id: UUID, caller: Caller, services: Services, once: Once) -> RetryOut:
    """Screen images again that failed for a reason that may pass, and those that were cancelled.

    Other failures are of the image itself, and would only come again.
    """

    async def retry(_: UUID) -> RetryOut:
        return RetryOut.of(await send_again(services.records, caller, batch_id))

    return await once.answer(RetryOut, retry)


@router.post("/{batch_id}/cancel", responses=problems(_OF_A_KEYED_ACT))
async def cancel_batch(batch_id: UUID, caller: Caller, services: Services, once: Once) -> BatchOut:
    """End receiving, and cancel the files that nobody has begun to screen; those in work still get their report.

    A retry brings cancelled files back.
    """

    async def cancel(_: UUID) -> BatchOut:
        return BatchOut.of(await end(services.records, caller, batch_id))

    return await once.answer(BatchOut, cancel)
