"""The caller's quota."""

from datetime import date, datetime
from typing import Self

from fastapi import APIRouter
from pydantic import BaseModel

from ingest_service.api.dependencies import Caller, Services
from ingest_service.handlers.quota import QuotaStanding, read_quota

router = APIRouter(prefix="/v1/quota", tags=["quota"])


class AmountOut(BaseModel):
    """One amount of a quota, in bytes or files."""

    quota: int
    used: int
    left: int


class QuotaOut(BaseModel):
    """What the tenant and the user may store on one day (UTC), and what is used of it."""

    day: date
    resets_at: datetime
    tenant_bytes: AmountOut
    tenant_files: AmountOut
    user_bytes: AmountOut

    @classmethod
    def of(cls, standing: QuotaStanding) -> Self:
        """From the domain."""
        quota, used = standing.quota, standing.used
        left = quota.minus(used)
        return cls(
            day=standing.day,
            resets_at=standing.resets_at,
            tenant_bytes=AmountOut(quota=quota.tenant_bytes, used=used.tenant_bytes, left=left.tenant_bytes),
            tenant_files=AmountOut(quota=quota.tenant_files, used=used.tenant_files, left=left.tenant_files),
            user_bytes=AmountOut(quota=quota.user_bytes, used=used.user_bytes, left=left.user_bytes),
        )


@router.get("")
async def get_quota(caller: Caller, services: Services) -> QuotaOut:
    """What the caller may still store today. Only newly stored images count: repeats and refused files are free."""
    return QuotaOut.of(await read_quota(services.intake, caller))
