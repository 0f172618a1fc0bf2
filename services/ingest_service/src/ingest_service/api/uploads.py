"""Adding files to a batch: the body is taken in as it arrives, each part handled as soon as it is whole."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.requests import ClientDisconnect

from ingest_service import metrics
from ingest_service.adapters.outages import is_outage
from ingest_service.api.dependencies import Caller, Services
from ingest_service.api.multipart import (
    FormSpooler,
    MalformedMultipart,
    NotMultipart,
    SpooledPart,
    TooManyParts,
    boundary_of,
)
from ingest_service.api.schemas import AcceptedOut, RejectedOut, UploadOut
from ingest_service.domain.archive import is_archive
from ingest_service.domain.model import ReceivedFile
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.handlers.batches import close_batch, own_batch
from ingest_service.handlers.intake import SpooledFile
from ingest_service.handlers.reception import Reception
from ingest_service.settings import UploadSettings
from radrelay_shared.http import (
    BadRequest,
    Conflict,
    PayloadTooLarge,
    Problem,
    UnsupportedMediaType,
    storage_unavailable,
)

router = APIRouter(prefix="/v1/batches", tags=["batches"])

_FILES_FIELD: Final = "files"
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [_FILES_FIELD],
                    "properties": {
                        _FILES_FIELD: {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "DICOM files and ZIP archives of them, any number of parts.",
                        }
                    },
                }
            }
        },
    }
}


class RequestTimeout(Problem):
    """The body brought nothing for too long."""

    status = 408


@router.post("/{batch_id}/files", openapi_extra=_BODY)
async def add_files(
    batch_id: UUID,
    request: Request,
    caller: Caller,
    services: Services,
    *,
    close: Annotated[bool, Query(description="Close the batch after these files.")] = False,
) -> UploadOut:
    """Add files and ZIP archives. Each file is accepted or rejected by itself, with a reason code.

    A file listed as accepted is durable. Sending the same again, as after an upload that broke off, stores nothing
    twice.
    """
    batch = await own_batch(services.records, caller, batch_id)
    if batch.closed_at is not None:
        raise Conflict(code="batch_closed", detail="The batch is closed; open another one.")
    _check_announced_length(request, services.upload)
    spooler = FormSpooler(
        _boundary(request),
        services.intake.new_path,
        max_file_bytes=services.upload.max_file_bytes,
        max_parts=services.upload.max_files,
    )
    reception = Reception(services.intake, caller, batch, services.slots, pending=services.upload.files_in_flight)
    try:
        async with reception:
            await _receive(request, spooler, reception, services.upload)
    except Exception as error:
        problem = _problem(error)
        if problem is None:
            raise
        problem.extensions |= {"accepted": len(reception.accepted), "rejected": len(reception.rejected)}
        raise problem from error
    finally:
        await asyncio.to_thread(spooler.close)
    if not reception.accepted and not reception.rejected:
        raise _empty()
    if close:
        await close_batch(services.records, caller, batch_id)
    return UploadOut(
        accepted=[AcceptedOut.of(each) for each in reception.accepted],
        rejected=[RejectedOut.of(each) for each in reception.rejected],
    )


def _empty() -> Problem:
    return BadRequest(code="empty_upload", detail=f"The request holds no part named '{_FILES_FIELD}'.")


def _check_announced_length(request: Request, limits: UploadSettings) -> None:
    announced = request.headers.get("content-length", "")
    if announced == "0":
        raise _empty()
    if announced.isdecimal() and int(announced) > limits.max_body_bytes:
        raise _body_too_large(limits)


def _body_too_large(limits: UploadSettings) -> Problem:
    return PayloadTooLarge(code="body_too_large", detail=f"A request takes at most {limits.max_body_bytes} bytes.")


def _boundary(request: Request) -> bytes:
    try:
        return boundary_of(request.headers.get("content-type"))
    except NotMultipart as error:
        raise UnsupportedMediaType(
            code="not_multipart", detail="Files are sent as multipart/form-data with a boundary."
        ) from error


async def _receive(request: Request, spooler: FormSpooler, reception: Reception, limits: UploadSettings) -> None:
    async for chunk in _chunks(request, limits):
        try:
            await asyncio.to_thread(spooler.feed, chunk)
        finally:
            for part in spooler.take():
                await _hand_over(part, reception, limits)
    spooler.finish()


async def _chunks(request: Request, limits: UploadSettings) -> AsyncIterator[bytes]:
    """The body as it arrives."""
    stream = aiter(request.stream())
    total = 0
    while True:
        try:
            async with asyncio.timeout(limits.stall_timeout_s):
                chunk = await anext(stream, None)
        except TimeoutError as error:
            raise RequestTimeout(
                code="upload_stalled", detail=f"Nothing arrived for {limits.stall_timeout_s:g} s."
            ) from error
        if chunk is None:
            return
        total += len(chunk)
        metrics.BYTES_RECEIVED.inc(len(chunk))
        if total > limits.max_body_bytes:
            raise _body_too_large(limits)
        if chunk:
            yield chunk


async def _hand_over(part: SpooledPart, reception: Reception, limits: UploadSettings) -> None:
    refusal: Refusal | None = None
    if part.field != _FILES_FIELD:
        refusal = Refusal(RejectReason.UNEXPECTED_FIELD, f"files are sent in parts named '{_FILES_FIELD}'")
    elif part.over_limit:
        refusal = Refusal(RejectReason.TOO_LARGE, f"{part.size_bytes} bytes, more than {limits.max_file_bytes}")
    if refusal is None:
        await reception.submit(
            SpooledFile(part.file_name, part.path, part.size_bytes, part.sha256, is_archive(part.magic))
        )
    else:
        await asyncio.to_thread(part.path.unlink)
        await reception.refuse(ReceivedFile(part.file_name, part.sha256), refusal)


def _problem(error: Exception) -> Problem | None:
    """What the client is told of an upload that ended early; None where it is a fault of ours."""
    match error:
        case Problem():
            return error
        case MalformedMultipart():
            return BadRequest(code="malformed_multipart", detail=f"The upload cannot be read: {error}.")
        case TooManyParts():
            return PayloadTooLarge(code="too_many_files", detail=f"Too many parts: {error}.")
        case ClientDisconnect():
            return BadRequest(code="client_disconnected", detail="The connection ended within the body.")
    return storage_unavailable() if is_outage(error) else None
