"""The routes under /v1."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from radrelay_shared.auth import CurrentPrincipal
from radrelay_shared.database import Scope
from radrelay_shared.http import problems
from report_service import handlers, reviewing
from report_service.api.dependencies import container_of
from report_service.api.schemas import ReportView
from report_service.api.tags import tag_of

router = APIRouter(prefix="/v1/reports", tags=["reports"])


@router.get(
    "/{report_id}",
    responses={
        200: {"headers": {"ETag": {"description": "Changes with the review.", "schema": {"type": "string"}}}},
        **problems({404: "`report_not_found`"}),
    },
)
async def get_report(request: Request, response: Response, principal: CurrentPrincipal, report_id: UUID) -> ReportView:
    """One report; its `ETag` is what a review of it names in `If-Match`."""
    container, scope = container_of(request), Scope.of(principal)
    # First: a tag that is older than what is shown costs a repeat, a newer one would hide somebody's review.
    version = await reviewing.review_version(report_id, scope=scope, store=container.reviews)
    report = await handlers.get_report(report_id, scope=scope, reports=container.reports, reads=container.reads)
    response.headers["ETag"] = tag_of(report_id, version)
    return ReportView.of(report, container.patients)
