"""DICOMweb: storing instances, STOW-RS (PS3.18 section 10.5)."""

from typing import Annotated, Any, Final
from uuid import uuid4

from fastapi import APIRouter, Path, Request, Response

from ingest_service.api.dependencies import Caller, Services
from ingest_service.api.multipart import NotMultipart, SpooledPart, related_boundary
from ingest_service.api.receiving import PROBLEMS, check_announced_length, receive_parts
from ingest_service.api.store_response import DICOM_JSON, DICOM_XML, ENCODERS, preferred_type, store_response
from ingest_service.bootstrap import Container
from ingest_service.domain.attributes import is_uid
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.handlers.batches import close_batch, create_batch
from ingest_service.handlers.intake import DICOM_MEDIA_TYPE, SpooledFile
from ingest_service.handlers.quota import check_quota_left
from ingest_service.handlers.reception import Reception
from radrelay_shared.database import Scope
from radrelay_shared.events import Urgency
from radrelay_shared.http import BadRequest, Problem, UnsupportedMediaType, problems

router = APIRouter(prefix="/dicomweb", tags=["dicomweb"])

BATCH_LABEL: Final = "DICOMweb STOW-RS"

_MODULE: Final[dict[str, Any]] = {DICOM_JSON: {"schema": {"type": "object"}}, DICOM_XML: {}}
_PROBLEMS: Final = problems({**PROBLEMS, 406: "`not_acceptable`", 409: "", 415: "`not_multipart_related`"})
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    **_PROBLEMS,
    200: {
        "description": "All instances are stored: a Store Instances Response Module (PS3.18 annex I).",
        "content": _MODULE,
    },
    202: {
        "description": "Some instances are stored; the module says which, and why others are not.",
        "content": _MODULE,
    },
    409: {
        "description": "No instance is stored; the module says why. As a problem: `batch_closed` in this moment.",
        "content": _MODULE | _PROBLEMS[409]["content"],
    },
}
_STUDY_PROBLEMS: Final = problems({400: f"`invalid_study_uid`, {PROBLEMS[400]}"})
_StudyUid = Annotated[
    str, Path(description="A UID.", json_schema_extra={"pattern": r"^[0-9]+(\.[0-9]+)*$", "maxLength": 64})
]
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/related": {
                "schema": {
                    "type": "object",
                    "required": ["instances"],
                    "properties": {
                        "instances": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "DICOM files (PS3.10), one a part. Parts need no names, nor this one.",
                        }
                    },
                },
                "encoding": {"instances": {"contentType": DICOM_MEDIA_TYPE}},
            }
        },
    }
}


class NotAcceptable(Problem):
    """The client takes none of the types that there are."""

    status = 406


@router.post("/studies", response_class=Response, responses=_RESPONSES, openapi_extra=_BODY)
async def store_instances(request: Request, caller: Caller, services: Services) -> Response:
    """Store instances of any studies. The instances of one request are one batch."""
    return await _store(request, caller, services, study_uid=None)


@router.post("/studies/{study}", response_class=Response, responses=_RESPONSES | _STUDY_PROBLEMS, openapi_extra=_BODY)
async def store_instances_of_study(study: _StudyUid, request: Request, caller: Caller, services: Services) -> Response:
    """Store instances of one study; those of other studies fail."""
    if not is_uid(study):
        raise BadRequest(code="invalid_study_uid", detail="The study in the path is not a UID.")
    return await _store(request, caller, services, study_uid=study)


async def _store(request: Request, caller: Scope, services: Container, *, study_uid: str | None) -> Response:
    """Take in the instances of one request as a batch, which is closed whatever becomes of them.

    Raises:
        Problem: the request cannot be taken, or ended early; what was whole before is kept.
    """
    media_type = _response_type(request)
    boundary = _boundary(request)
    check_announced_length(request, services.upload)
    await check_quota_left(services.intake, caller)
    progress = await create_batch(
        services.records, caller, batch_id=uuid4(), label=BATCH_LABEL, priority=Urgency.ROUTINE
    )
    batch = progress.batch
    reception = Reception(
        services.intake,
        caller,
        batch,
        services.slots,
        pending=services.upload.files_in_flight,
        study_uid=study_uid,
    )
    try:
        await receive_parts(request, boundary, _judge, reception, services)
    finally:
        await close_batch(services.records, caller, batch.batch_id)
    content = ENCODERS[media_type](store_response(reception.accepted, reception.rejected))
    return Response(content, _status(reception), media_type=media_type)


def _status(reception: Reception) -> int:
    """PS3.18 table 10.5.3-1."""
    if not reception.rejected:
        return 200
    return 202 if reception.accepted else 409


def _response_type(request: Request) -> str:
    accept = ",".join(request.headers.getlist("accept")) or "*/*"
    media_type = preferred_type(accept)
    if media_type is None:
        raise NotAcceptable(code="not_acceptable", detail=f"Responses are {DICOM_JSON} or {DICOM_XML}.")
    return media_type


def _boundary(request: Request) -> bytes:
    try:
        return related_boundary(request.headers.get("content-type"), DICOM_MEDIA_TYPE)
    except NotMultipart as error:
        raise UnsupportedMediaType(
            code="not_multipart_related",
            detail=f'Instances are sent as multipart/related; type="{DICOM_MEDIA_TYPE}" with a boundary.',
        ) from error


def _judge(part: SpooledPart) -> tuple[SpooledFile, Refusal | None]:
    """Parts of multipart/related need no names: theirs is their place. Archives are not opened."""
    name = part.file_name or f"instance-{part.number}.dcm"
    file = SpooledFile(name, part.path, part.size_bytes, part.sha256)
    if part.media_type not in {"", DICOM_MEDIA_TYPE}:
        return file, Refusal(RejectReason.NOT_DICOM, f"the part is not {DICOM_MEDIA_TYPE}")
    return file, None
