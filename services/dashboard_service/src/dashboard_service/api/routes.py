"""The routes under /v1."""

from fastapi import APIRouter, Request

from dashboard_service import handlers
from dashboard_service.api.schemas import SummaryView
from dashboard_service.bootstrap import Container
from dashboard_service.domain.summary import SummaryScope
from radrelay_shared.auth import CurrentPrincipal

router = APIRouter(prefix="/v1", tags=["summary"])


@router.get("/summary")
async def get_summary(
    request: Request, principal: CurrentPrincipal, scope: SummaryScope = SummaryScope.OWN
) -> SummaryView:
    """Your own figures, or the tenant's for its administrator."""
    container: Container = request.state.container
    summary = await handlers.get_summary(scope, principal=principal, counts=container.counts)
    return SummaryView.model_validate(summary)
