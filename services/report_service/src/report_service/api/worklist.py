"""The worklist under /v1: its pages, the search of it and its counts."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from radrelay_shared.auth import CurrentPrincipal, Principal
from radrelay_shared.database import Scope
from radrelay_shared.http import problems
from report_service import handlers
from report_service.api import cursor as cursors
from report_service.api.dependencies import container_of
from report_service.api.filters import PageFilters, PatientFilter, PatientPageFilter, WorklistFilters
from report_service.api.schemas import CountsView, ReportPage
from report_service.domain.worklist import Filters, WorklistQuery
from report_service.study_handlers import patient_hash

router = APIRouter(prefix="/v1", tags=["worklist"])


@router.get("/reports", responses=problems({400: "`invalid_cursor`"}))
async def list_reports(
    request: Request, principal: CurrentPrincipal, asked: Annotated[PageFilters, Query()]
) -> ReportPage:
    """Your reports (a tenant administrator: the tenant's), most urgent first, then the longest waiting first."""
    return await _page(request, principal, asked, None)


@router.post("/worklist/search", responses=problems({400: "`invalid_cursor`", 409: "`patients_not_kept`"}))
async def search_reports(request: Request, principal: CurrentPrincipal, asked: PatientPageFilter) -> ReportPage:
    """The same as the list, and by patient: a POST, so that the Patient ID is in no address, which is logged."""
    return await _page(request, principal, asked, asked.patient_id)


@router.get("/worklist/counts")
async def count_reports(
    request: Request, principal: CurrentPrincipal, asked: Annotated[WorklistFilters, Query()]
) -> CountsView:
    """How many reports the list has, by urgency and review state: exact up to 1,000 of each."""
    return await _counts(request, principal, asked, None)


@router.post("/worklist/counts", responses=problems({409: "`patients_not_kept`"}))
async def count_found_reports(request: Request, principal: CurrentPrincipal, asked: PatientFilter) -> CountsView:
    """How many reports the search finds, likewise."""
    return await _counts(request, principal, asked, asked.patient_id)


async def _page(request: Request, principal: Principal, asked: PageFilters, patient_id: str | None) -> ReportPage:
    container, scope = container_of(request), Scope.of(principal)
    query = WorklistQuery(
        **asked.asked(),
        limit=asked.limit,
        after=None if asked.cursor is None else cursors.decode(asked.cursor),
        patient_hash=None if patient_id is None else patient_hash(patient_id, scope, container.patients),
    )
    page = await handlers.list_reports(query, scope=scope, reports=container.reports, reads=container.reads)
    return ReportPage.of(page, container.patients)


async def _counts(request: Request, principal: Principal, asked: WorklistFilters, patient_id: str | None) -> CountsView:
    container, scope = container_of(request), Scope.of(principal)
    of_patient = None if patient_id is None else patient_hash(patient_id, scope, container.patients)
    counts = await handlers.count_reports(
        Filters(**asked.asked(), patient_hash=of_patient),
        scope=scope,
        reports=container.reports,
        reads=container.reads,
    )
    return CountsView.of(counts)
