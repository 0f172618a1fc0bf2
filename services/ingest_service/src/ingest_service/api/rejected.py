"""Files that were refused: listed, looked into, sent through validation again."""

from collections.abc import Iterator
from io import BufferedReader
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from ingest_service.api.dependencies import Caller, Cursor, Limit, Services
from ingest_service.api.rejected_schemas import RejectedFileOut, RejectedFilePage, ResubmittedOut
from ingest_service.api.schemas import aware_time, decode_cursor, encode_cursor
from ingest_service.domain.reasons import RejectReason
from ingest_service.handlers import rejected as handlers
from ingest_service.handlers.intake import REJECTED_MEDIA_TYPE
from ingest_service.ports import Page, RejectedSelection
from radrelay_shared.http import problems

router = APIRouter(prefix="/v1/rejected-files", tags=["rejected files"])

_CHUNK_BYTES: Final = 1 << 20
_OF_ONE: Final = {403: "`not_tenant_admin`", 404: "`rejected_file_not_found`"}


@router.get("", responses=problems({400: "`invalid_cursor`"}))
async def list_rejected_files(
    caller: Caller,
    services: Services,
    reason: Annotated[RejectReason | None, Query(description="Only those refused for this reason.")] = None,
    batch_id: Annotated[UUID | None, Query(description="Only those of this batch.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> RejectedFilePage:
    """The caller's rejected files that are still kept, newest first; an administrator's list is the tenant's."""
    page = Page(limit, decode_cursor(cursor, aware_time, UUID))
    found = await handlers.list_rejected(services.records, caller, RejectedSelection(reason, batch_id), page)
    last = found[-1] if len(found) == limit else None
    return RejectedFilePage(
        rejected_files=[RejectedFileOut.of(file) for file in found],
        next_cursor=encode_cursor(last.rejected_at.isoformat(), str(last.rejected_id)) if last else None,
    )


@router.get(
    "/{rejected_id}/content",
    response_class=StreamingResponse,
    responses={
        200: {"description": "The bytes as received.", "content": {REJECTED_MEDIA_TYPE: {}}},
        **problems(_OF_ONE),
    },
)
async def get_rejected_content(rejected_id: UUID, caller: Caller, services: Services) -> StreamingResponse:
    """The bytes of a rejected file, for a tenant administrator. They are a stranger's: open them with care."""
    async with handlers.rejected_content(services.intake, caller, rejected_id) as path:
        # Opened before its name is removed: what is left of it ends with the answer, however that ends.
        content = path.open("rb")
        size_bytes = path.stat().st_size
    return StreamingResponse(
        _chunks(content),
        media_type=REJECTED_MEDIA_TYPE,
        headers={
            "Content-Length": str(size_bytes),
            "Content-Disposition": f'attachment; filename="rejected-{rejected_id}.bin"',
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        },
    )


@router.post(
    "/{rejected_id}/resubmit",
    responses=problems(
        {
            **_OF_ONE,
            403: "`not_tenant_admin`, or `tenant_not_provisioned`: nothing can be stored for this tenant.",
            409: "`batch_closed`: in this moment.",
        }
    ),
)
async def resubmit_rejected_file(rejected_id: UUID, caller: Caller, services: Services) -> ResubmittedOut:
    """Send a rejected file through validation again, for a tenant administrator.

    Where it is valid now, it goes into its batch if that is open, else into a new one of the same owner.
    """
    return ResubmittedOut.of(await handlers.resubmit_rejected(services.intake, caller, rejected_id))


def _chunks(content: BufferedReader) -> Iterator[bytes]:
    with content:
        while chunk := content.read(_CHUNK_BYTES):
            yield chunk
