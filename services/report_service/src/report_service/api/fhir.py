"""A report as FHIR."""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response

from radrelay_shared.auth import CurrentPrincipal
from radrelay_shared.database import Scope
from report_service.api.answers import Known, answer, described
from report_service.api.dependencies import container_of
from report_service.fhir import fetch_bundle

router = APIRouter(prefix="/v1/reports/{report_id}", tags=["reports"])

_FHIR: Final = "application/fhir+json"
_RELEASE: Final = "fhirVersion=4.0"
_BUNDLE: Final[dict[str, Any]] = {
    "title": "Bundle",
    "description": "https://hl7.org/fhir/R4/bundle.html",
    "type": "object",
    "required": ["resourceType", "type", "entry"],
    "properties": {
        "resourceType": {"const": "Bundle"},
        "type": {"const": "collection"},
        "entry": {"type": "array", "minItems": 1, "items": {"type": "object"}},
    },
}


@router.get(
    "/fhir",
    response_class=Response,
    responses=described(missing="`report_not_found`") | {200: {"content": {_FHIR: {"schema": _BUNDLE}}}},
)
async def get_fhir(request: Request, principal: CurrentPrincipal, known: Known, report_id: UUID) -> Response:
    """The report as FHIR R4: a Bundle of DiagnosticReport, Observations, ImagingStudy and Device, without a patient."""
    container = container_of(request)
    fetched = await fetch_bundle(
        report_id, known=known, scope=Scope.of(principal), store=container.reviews, reads=container.reads
    )
    name = f'attachment; filename="report-{report_id}.fhir.json"'
    return answer(fetched, f"{_FHIR}; {_RELEASE}", {"Content-Disposition": name})
