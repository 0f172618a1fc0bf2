"""The visual report, as a page or a PDF."""

from typing import Final
from uuid import UUID

import mimeparse
from fastapi import APIRouter, Request, Response

from radrelay_shared.auth import CurrentPrincipal
from radrelay_shared.database import Scope
from radrelay_shared.http import NotAcceptable, problems
from report_service.api.answers import Known, answer, described
from report_service.api.dependencies import container_of
from report_service.documents import DocumentType

router = APIRouter(prefix="/v1/reports/{report_id}", tags=["reports"])

_SUFFIXES: Final = {DocumentType.HTML: "html", DocumentType.PDF: "pdf"}
_POLICY: Final = "frame-ancestors 'none'"
"""What a page cannot say of itself; the rest is in it, so that it holds for a file that somebody saved."""


@router.get(
    "/document",
    response_class=Response,
    responses={
        **described(DocumentType.HTML, DocumentType.PDF, missing="`report_not_found`"),
        **problems({406: "`not_acceptable`: neither HTML nor PDF will do."}),
    },
)
async def get_document(
    request: Request,
    principal: CurrentPrincipal,
    known: Known,
    report_id: UUID,
) -> Response:
    """The visual report: pictures, result, what it means, review, model and times. HTML, or PDF where `Accept` asks."""
    kind = wanted(request.headers.get("Accept"))
    fetched = await container_of(request).documents.fetch(report_id, kind, known=known, scope=Scope.of(principal))
    headers = {
        "Content-Disposition": f'inline; filename="report-{report_id}.{_SUFFIXES[kind]}"',
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",
        "Vary": "Authorization, Accept",
    }
    return answer(fetched, kind, headers)


def wanted(accept: str | None) -> DocumentType:
    """The kind of document that an `Accept` field likes best (RFC 9110, section 12.5.1); HTML where it does not mind.

    Raises:
        NotAcceptable: none of them will do.
    """
    if accept is None:
        return DocumentType.HTML
    try:
        # Of two that are liked as much, the one that is named last.
        best = mimeparse.best_match([DocumentType.PDF, DocumentType.HTML], accept)
    except mimeparse.MimeTypeParseException:
        best = ""
    if not best:
        raise NotAcceptable(code="not_acceptable", detail="A visual report is text/html or application/pdf.")
    return DocumentType(best)
