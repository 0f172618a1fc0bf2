"""For how long the tenant's reports are kept, for its administrators."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from radrelay_shared.auth import CurrentPrincipal
from radrelay_shared.http import problems
from report_service.api.administrators import check_administrator
from report_service.api.dependencies import container_of
from report_service.domain.erasure import RetentionPolicy

router = APIRouter(prefix="/v1/retention", tags=["retention"])


class RetentionOut(BaseModel):
    """Days from when an image was received until it goes, with its reports, reviews and pictures."""

    days: int | None = Field(description="Null: for ever.")
    days_by_modality: dict[str, int] = Field(description="Of modalities that have a time of their own.")


@router.get("", responses=problems({403: "`not_tenant_admin`"}))
async def get_retention(request: Request, principal: CurrentPrincipal) -> RetentionOut:
    """The tenant's policy, as whoever operates the service has set it."""
    check_administrator(principal, "Only an administrator of the tenant sees for how long its reports are kept.")
    policy = container_of(request).retention.get(principal.tenant, RetentionPolicy())
    return RetentionOut(days=policy.days, days_by_modality=policy.days_by_modality)
