"""Resumable uploads: the tus protocol 1.0.0, core with creation, expiration and termination.

Source: https://tus.io/protocols/resumable-upload.
"""

from collections.abc import Callable, Coroutine
from email.utils import format_datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.routing import APIRoute

from ingest_service.api.dependencies import Caller, Services
from ingest_service.api.receiving import body_chunks, problem_of
from ingest_service.domain.resumable import MAX_METADATA_LENGTH, ResumableUpload
from ingest_service.handlers import resumable as handlers
from radrelay_shared.http import Problem, UnsupportedMediaType, problems

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,expiration,termination"
MEDIA_TYPE: Final = "application/offset+octet-stream"

_VERSION_HEADER: Final[dict[str, Any]] = {
    # Not a parameter of the routes: one that is wrong is no 422, but 412 and the versions that there are.
    "parameters": [
        {"name": "Tus-Resumable", "in": "header", "required": True, "schema": {"type": "string", "enum": [VERSION]}}
    ]
}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
}
_OF_EACH: Final = {412: "`unsupported_tus_version`", 422: "`invalid_request`"}
_OF_ONE: Final = {**_OF_EACH, 404: "`upload_not_found`", 410: "`upload_expired`"}


class UnsupportedVersion(Problem):
    """Another version of the protocol, or none named."""

    status = 412


class TusRoute(APIRoute):
    """Names the version of the protocol in every answer, a refusal too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As in the base class."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except Problem as problem:
                problem.headers["Tus-Resumable"] = VERSION
                raise
            response.headers["Tus-Resumable"] = VERSION
            return response

        return answer


async def _check_version(
    _: Caller,  # first: who has no token is told of nothing else
    request: Request,
) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        detail = f"The header Tus-Resumable is to name version {VERSION} of the protocol."
        raise UnsupportedVersion(code="unsupported_tus_version", detail=detail, headers={"Tus-Version": VERSION})


router = APIRouter(prefix="/v1", tags=["resumable uploads"], route_class=TusRoute)
_VERSIONED: Final = [Depends(_check_version)]


@router.options("/batches/{batch_id}/uploads", status_code=204, include_in_schema=False)
@router.options("/uploads/{upload_id}", status_code=204, include_in_schema=False)
async def describe_uploads(services: Services) -> Response:
    """What of the protocol there is here; a token is not needed."""
    headers = {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(services.upload.max_file_bytes),
    }
    return Response(status_code=204, headers=headers)


@router.post(
    "/batches/{batch_id}/uploads",
    status_code=201,
    response_class=Response,
    dependencies=_VERSIONED,
    openapi_extra=_VERSION_HEADER,
    responses=problems(
        {
            **_OF_EACH,
            400: "`invalid_upload_metadata`",
            403: "`not_batch_owner`",
            404: "`batch_not_found`",
            409: "`batch_closed`",
            413: "`upload_too_large`",
            429: "`quota_exceeded`, `too_many_uploads`, `rate_limited`",
        }
    ),
)
async def begin_upload(
    batch_id: UUID,
    caller: Caller,
    services: Services,
    upload_length: Annotated[int, Header(ge=1, description="Bytes of the whole file or archive.")],
    upload_metadata: Annotated[
        str,
        Header(
            description="Keys and Base64 values; `filename` is what the batch shows the file as.",
            json_schema_extra={"maxLength": MAX_METADATA_LENGTH},
        ),
    ] = "",
) -> Response:
    """Make room for one file or ZIP archive of a batch; its bytes then go to the address in `Location`."""
    upload = await handlers.begin_upload(services.resumption, caller, batch_id, upload_length, upload_metadata)
    # Relative, so that it holds behind any edge (RFC 9110 section 10.2.2).
    headers = {"Location": f"../../uploads/{upload.upload_id}"} | _standing(upload)
    return Response(status_code=201, headers=headers)


@router.head(
    "/uploads/{upload_id}",
    response_class=Response,
    dependencies=_VERSIONED,
    openapi_extra=_VERSION_HEADER,
    responses=problems(_OF_ONE),
)
async def get_offset(upload_id: UUID, caller: Caller, services: Services) -> Response:
    """How much of an upload has come: `Upload-Offset` is where to go on."""
    upload = await handlers.find_upload(services.resumption, caller, upload_id)
    headers = _standing(upload) | {"Upload-Length": str(upload.length_bytes), "Cache-Control": "no-store"}
    if upload.metadata:
        headers["Upload-Metadata"] = upload.metadata
    return Response(headers=headers)


@router.patch(
    "/uploads/{upload_id}",
    status_code=204,
    dependencies=_VERSIONED,
    openapi_extra=_VERSION_HEADER | _BODY,
    responses=problems(
        {
            **_OF_ONE,
            400: "`client_disconnected`: what came is kept.",
            408: "`upload_stalled`: what came is kept.",
            409: "`upload_offset_mismatch`, `batch_closed`",
            413: "`upload_too_long`, `too_many_parts`, `body_too_large`",
            415: "`not_offset_octet_stream`",
        }
    ),
)
async def continue_upload(
    upload_id: UUID,
    request: Request,
    caller: Caller,
    services: Services,
    upload_offset: Annotated[int, Header(ge=0, description="Where these bytes begin: how much has come before.")],
) -> Response:
    """Send bytes that follow what is there. Where the connection breaks, what came is kept.

    With the last byte the upload is whole, and is taken in like any file of the batch: its outcome, or those of the
    files in it, are among the files of the batch and in its events. The batch is not closed before that.
    """
    if request.headers.get("content-type", "").lower() != MEDIA_TYPE:
        raise UnsupportedMediaType(code="not_offset_octet_stream", detail=f"The body is to be of type {MEDIA_TYPE}.")
    resumption = services.resumption
    upload = await handlers.find_upload(resumption, caller, upload_id)
    if upload_offset != upload.offset_bytes:
        raise handlers.offset_conflict(upload.offset_bytes)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal():
        handlers.check_room(resumption, upload, int(announced))
    try:
        upload = await handlers.continue_upload(resumption, caller, upload, body_chunks(request, services.upload))
    except Exception as error:
        problem = problem_of(error)
        if problem is None:
            raise
        raise problem from error
    return Response(status_code=204, headers=_standing(upload))


@router.delete(
    "/uploads/{upload_id}",
    status_code=204,
    dependencies=_VERSIONED,
    openapi_extra=_VERSION_HEADER,
    responses=problems(_OF_ONE),
)
async def terminate_upload(upload_id: UUID, caller: Caller, services: Services) -> Response:
    """End an upload and let go of what came of it. What was taken in already stays."""
    await handlers.terminate_upload(services.resumption, caller, upload_id)
    return Response(status_code=204)


def _standing(upload: ResumableUpload) -> dict[str, str]:
    return {
        "Upload-Offset": str(upload.offset_bytes),
        "Upload-Expires": format_datetime(upload.expires_at, usegmt=True),
    }
