"""Batches: make, close, read."""

from uuid import UUID

from fastapi import APIRouter

from ingest_service.api.dependencies import Caller, Cursor, Limit, Services
from ingest_service.api.schemas import (
    BatchOut,
    BatchPage,
    FileOut,
    FilePage,
    NewBatch,
    aware_time,
    decode_cursor,
    encode_cursor,
    storable_text,
)
from ingest_service.handlers import batches as handlers
from ingest_service.ports import Page

router = APIRouter(prefix="/v1/batches", tags=["batches"])


@router.post("", status_code=201)
async def create_batch(body: NewBatch, caller: Caller, services: Services) -> BatchOut:
    """Open a batch; files are then added to it, and it is closed when all were sent."""
    return BatchOut.of(await handlers.create_batch(services.records, caller, label=body.label, priority=body.priority))


@router.get("")
async def list_batches(caller: Caller, services: Services, limit: Limit = 50, cursor: Cursor = None) -> BatchPage:
    """The caller's batches, newest first; an administrator's list is the tenant's."""
    after = decode_cursor(cursor, aware_time, UUID)
    found = await handlers.list_batches(services.records, caller, Page(limit, after))
    full = len(found) == limit
    last = found[-1].batch if full else None
    return BatchPage(
        batches=[BatchOut.of(progress) for progress in found],
        next_cursor=encode_cursor(last.created_at.isoformat(), str(last.batch_id)) if last else None,
    )


@router.get("/{batch_id}")
async def get_batch(batch_id: UUID, caller: Caller, services: Services) -> BatchOut:
    """A batch and where its files stand."""
    return BatchOut.of(await handlers.get_batch(services.records, caller, batch_id))


@router.get("/{batch_id}/files")
async def list_files(
    batch_id: UUID, caller: Caller, services: Services, limit: Limit = 1000, cursor: Cursor = None
) -> FilePage:
    """The files of a batch: what became of each, and why where it was refused or failed."""
    after = decode_cursor(cursor, storable_text, storable_text)
    found = await handlers.list_files(services.records, caller, batch_id, Page(limit, after))
    last = found[-1] if len(found) == limit else None
    return FilePage(
        files=[FileOut.of(view) for view in found],
        next_cursor=encode_cursor(last.name, last.fingerprint) if last else None,
    )


@router.post("/{batch_id}/close")
async def close_batch(batch_id: UUID, caller: Caller, services: Services) -> BatchOut:
    """Say that all files were sent; the batch is done when each has its end."""
    return BatchOut.of(await handlers.close_batch(services.records, caller, batch_id))
