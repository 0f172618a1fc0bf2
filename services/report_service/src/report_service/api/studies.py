"""The routes of studies and patients under /v1."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from radrelay_shared.auth import CurrentPrincipal
from radrelay_shared.database import Scope
from radrelay_shared.events.models import DicomUid
from radrelay_shared.http import problems
from report_service import study_handlers
from report_service.api.dependencies import container_of
from report_service.api.filters import PatientHistoryQuery
from report_service.api.study_schemas import HistoryView, StudyReportView

router = APIRouter(prefix="/v1", tags=["studies"])

StudyUid = Annotated[DicomUid, Path(description="Study Instance UID")]
SeriesUid = Annotated[DicomUid, Path(description="Series Instance UID")]


@router.get("/studies/{study_instance_uid}", responses=problems({404: "`study_not_found`"}))
async def get_study(request: Request, principal: CurrentPrincipal, study_instance_uid: StudyUid) -> StudyReportView:
    """A study as its image reports come to: for a tenant administrator, those of everybody."""
    return await _study(request, principal, study_instance_uid, None)


@router.get(
    "/studies/{study_instance_uid}/series/{series_instance_uid}", responses=problems({404: "`series_not_found`"})
)
async def get_series(
    request: Request, principal: CurrentPrincipal, study_instance_uid: StudyUid, series_instance_uid: SeriesUid
) -> StudyReportView:
    """One series of a study, likewise."""
    return await _study(request, principal, study_instance_uid, series_instance_uid)


@router.get("/studies/{study_instance_uid}/history", responses=problems({404: "`study_not_found`"}))
async def get_study_history(request: Request, principal: CurrentPrincipal, study_instance_uid: StudyUid) -> HistoryView:
    """What each batch brought of a study, the newest first."""
    container = container_of(request)
    history = await study_handlers.get_study_history(
        study_instance_uid, scope=Scope.of(principal), reports=container.reports, reads=container.reads
    )
    return HistoryView.of(history)


@router.post("/patients/history", responses=problems({409: "`patients_not_kept`"}))
async def get_patient_history(request: Request, principal: CurrentPrincipal, query: PatientHistoryQuery) -> HistoryView:
    """What each batch brought of a patient's studies, the newest first.

    A POST, so that the Patient ID is in no address: those are logged on the way.
    """
    container = container_of(request)
    history = await study_handlers.get_patient_history(
        query.patient_id,
        scope=Scope.of(principal),
        reports=container.reports,
        reads=container.reads,
        patients=container.patients,
    )
    return HistoryView.of(history)


async def _study(
    request: Request, principal: CurrentPrincipal, study_instance_uid: str, series_instance_uid: str | None
) -> StudyReportView:
    container = container_of(request)
    study = await study_handlers.get_study(
        study_instance_uid,
        series_instance_uid,
        scope=Scope.of(principal),
        reports=container.reports,
        reads=container.reads,
    )
    return StudyReportView.of(study, container.patients)
