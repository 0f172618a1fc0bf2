"""The routes under /v1."""

from datetime import date
from re import fullmatch
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BeforeValidator

from dashboard_service.api import spreadsheet
from dashboard_service.api.schemas import (
    AgreementsView,
    BreakdownView,
    FailuresView,
    HistogramView,
    SummaryView,
    TrendView,
    TurnaroundView,
)
from dashboard_service.bootstrap import Container
from dashboard_service.domain.figures import Dimension, FigureScope
from dashboard_service.domain.periods import Step
from dashboard_service.handlers import reading
from dashboard_service.handlers.questions import Question
from radrelay_shared.auth import CurrentPrincipal
from radrelay_shared.http import problems

router = APIRouter(prefix="/v1", tags=["figures"])
PROBLEMS: Final = problems({400: "`impossible_period`", 403: "`tenant_scope_forbidden`"})


def container_of(request: Request) -> Container:
    """What the routes work on."""
    container: Container = request.state.container
    return container


Services = Annotated[Container, Depends(container_of)]


def _iso_day(value: object) -> object:
    """Refuses what pydantic would take for seconds since 1970."""
    if isinstance(value, str) and not fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("must be a day, such as 2026-03-14")
    return value


Day = Annotated[date, BeforeValidator(_iso_day)]


def asked_period(
    scope: FigureScope = FigureScope.OWN,
    first: Annotated[
        Day | None, Query(description="First day, in the tenant's time zone; by default 29 days before the last.")
    ] = None,
    last: Annotated[Day | None, Query(description="Last day, which is included; by default today.")] = None,
) -> Question:
    """Whose cases, received when."""
    return Question(scope, first, last)


Asked = Annotated[Question, Depends(asked_period)]


def filtered(
    question: Asked,
    modality: Annotated[str | None, Query(max_length=16, pattern="^[^\\x00]*$")] = None,
    model: Annotated[str | None, Query(max_length=71, pattern="^[^\\x00]*$", description="Digest of a model.")] = None,
) -> Question:
    """Whose cases, received when, of which modality and model."""
    return Question(question.scope, question.first, question.last, modality, model)


Filtered = Annotated[Question, Depends(filtered)]


@router.get("/summary", responses=PROBLEMS)
async def get_summary(question: Asked, principal: CurrentPrincipal, services: Services) -> SummaryView:
    """Your own figures, or the tenant's for its administrator, and those of the period before."""
    return SummaryView.of(await reading.get_summary(question, principal=principal, store=services.figures))


@router.get("/trends", responses=PROBLEMS)
async def get_trend(
    question: Filtered, principal: CurrentPrincipal, services: Services, step: Step = Step.DAY
) -> TrendView:
    """Cases by the hour, day, week or month in which they were received; weeks and months are whole ones.

    At most 31 days by the hour, 366 by day and 732 by week.
    """
    framed, points = await reading.get_trend(question, step, principal=principal, store=services.figures)
    return TrendView.of(framed, step, points)


@router.get(
    "/breakdown",
    responses=problems({400: "`impossible_period`, `tenant_scope_needed`", 403: "`tenant_scope_forbidden`"}),
)
async def get_breakdown(
    question: Filtered, principal: CurrentPrincipal, services: Services, by: Dimension
) -> BreakdownView:
    """Cases by modality, model, urgency or, for an administrator, clinician.

    Small numbers of clinicians are withheld.
    """
    framed, parts = await reading.get_breakdown(
        question, by, principal=principal, store=services.figures, smallest_group=services.smallest_group
    )
    return BreakdownView.of(framed, by, parts, services.smallest_group)


@router.get("/histogram", responses=PROBLEMS)
async def get_histogram(question: Asked, principal: CurrentPrincipal, services: Services) -> HistogramView:
    """Cases by calibrated probability."""
    return HistogramView.of(*await reading.get_histogram(question, principal=principal, store=services.figures))


@router.get("/turnaround", responses=PROBLEMS)
async def get_turnaround(question: Asked, principal: CurrentPrincipal, services: Services) -> TurnaroundView:
    """Percentiles of the time from upload to report, by priority, each off by at most 2%."""
    return TurnaroundView.of(*await reading.get_turnaround(question, principal=principal, store=services.figures))


@router.get("/failures", responses=PROBLEMS)
async def get_failures(question: Asked, principal: CurrentPrincipal, services: Services) -> FailuresView:
    """Images that have no report because they failed, by reason."""
    return FailuresView.of(*await reading.get_failures(question, principal=principal, store=services.figures))


@router.get("/agreement", responses=PROBLEMS)
async def get_agreement(question: Filtered, principal: CurrentPrincipal, services: Services) -> AgreementsView:
    """How often reviewers agree with the reports."""
    return AgreementsView.of(*await reading.get_agreement(question, principal=principal, store=services.figures))


@router.get(
    "/export",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **PROBLEMS},
)
async def export_days(question: Filtered, principal: CurrentPrincipal, services: Services) -> Response:
    """The counts by day, modality, model and urgency as CSV; 366 days at most."""
    days = await reading.list_days(question, principal=principal, store=services.figures)
    return Response(
        spreadsheet.written(days),
        media_type=spreadsheet.MEDIA_TYPE,
        headers={"Content-Disposition": 'attachment; filename="radrelay-cases.csv"'},
    )
