"""Adding files to a batch."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request

from ingest_service.api.dependencies import Caller, Services
from ingest_service.api.multipart import NotMultipart, SpooledPart, form_boundary
from ingest_service.api.receiving import PROBLEMS, check_announced_length, receive_parts
from ingest_service.api.schemas import AcceptedOut, RejectedOut, UploadOut
from ingest_service.domain.archive import is_archive
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.handlers.batches import close_batch
from ingest_service.handlers.intake import SpooledFile
from ingest_service.handlers.quota import admit_upload
from ingest_service.handlers.reception import Reception
from radrelay_shared.http import UnsupportedMediaType, problems

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
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "DICOM files and ZIP archives of them, any number of parts.",
                        }
                    },
                }
            }
        },
    }
}
_PROBLEMS: Final = {
    **PROBLEMS,
    403: "`not_batch_owner`",
    404: "`batch_not_found`",
    409: "`batch_closed`",
    415: "`not_multipart`",
}


@router.post("/{batch_id}/files", responses=problems(_PROBLEMS), openapi_extra=_BODY)
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
    batch = await admit_upload(services.intake, caller, batch_id)
    check_announced_length(request, services.upload)
    boundary = _boundary(request)
    reception = Reception(services.intake, caller, batch, services.slots, pending=services.upload.files_in_flight)
    await receive_parts(request, boundary, _judge, reception, services)
    if close:
        await close_batch(services.records, caller, batch_id)
    return UploadOut(
        accepted=[AcceptedOut.of(each) for each in reception.accepted],
        rejected=[RejectedOut.of(each) for each in reception.rejected],
    )


def _boundary(request: Request) -> bytes:
    try:
        return form_boundary(request.headers.get("content-type"))
    except NotMultipart as error:
        raise UnsupportedMediaType(
            code="not_multipart", detail="Files are sent as multipart/form-data with a boundary."
        ) from error


def _judge(part: SpooledPart) -> tuple[SpooledFile, Refusal | None]:
    name = part.file_name or "unnamed"
    file = SpooledFile(name, part.path, part.size_bytes, part.sha256, is_archive(part.magic))
    if part.field != _FILES_FIELD:
        return file, Refusal(RejectReason.UNEXPECTED_FIELD, f"files are sent in parts named '{_FILES_FIELD}'")
    return file, None
