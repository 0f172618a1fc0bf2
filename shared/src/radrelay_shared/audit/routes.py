"""The tenant's audit trail in a service, for the tenant's administrators: the same routes in each service."""

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Annotated, Final, Self
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, Field

from radrelay_shared.audit.chain import GENESIS_HASH, AuditFact, AuditRecord
from radrelay_shared.audit.ports import AuditTransaction
from radrelay_shared.audit.trail import Trail
from radrelay_shared.auth import CurrentPrincipal, Principal
from radrelay_shared.database import Scope
from radrelay_shared.http.openapi import problems
from radrelay_shared.http.problems import Forbidden

router = APIRouter(prefix="/v1/audit", tags=["audit"])

AUDIT_READ: Final = "audit.read"
_MAX_SEQUENCE: Final = 2**63 - 1
_PROBLEMS: Final = {403: "`not_tenant_admin`"}


class AuditRecordOut(BaseModel):
    """A record of the audit trail, with all that its hash covers."""

    sequence: int
    tenant: str
    actor: str = Field(description="The `sub` of the person, or the name of the service.")
    action: str
    at: AwareDatetime
    batch_id: UUID | None
    instance_id: UUID | None
    report_id: UUID | None
    destination_id: UUID | None
    fingerprint: str | None
    reason: str | None = Field(description="Why it was refused; null where it was done.")
    prev_hash: str
    hash: str

    @classmethod
    def of(cls, record: AuditRecord) -> Self:
        """From the domain."""
        fact = record.fact
        return cls(
            sequence=record.sequence,
            tenant=fact.tenant,
            actor=fact.actor,
            action=fact.action,
            at=fact.at,
            batch_id=fact.batch_id,
            instance_id=fact.instance_id,
            report_id=fact.report_id,
            destination_id=fact.destination_id,
            fingerprint=fact.fingerprint,
            reason=fact.reason,
            prev_hash=record.prev_hash,
            hash=record.hash,
        )


class AuditPage(BaseModel):
    """Records in the order in which they were written."""

    records: list[AuditRecordOut]
    next_after: int | None = Field(description="Give it as `after` for what follows; null at the end.")


class AuditHeadOut(BaseModel):
    """How far the chain reaches."""

    tenant: str
    sequence: int = Field(description="Of the newest record; 0 where there is none.")
    hash: str
    at: AwareDatetime | None


@router.get("", responses=problems(_PROBLEMS))
async def list_records(
    request: Request,
    principal: CurrentPrincipal,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many items.")] = 1000,
    after: Annotated[int, Query(ge=0, le=_MAX_SEQUENCE, description="Number of the record before the first.")] = 0,
) -> AuditPage:
    """The tenant's audit trail in order. Reading it is recorded in it, after what is read."""
    async with _reading(request, principal) as tx:
        found = await tx.audit_records(after, limit)
    await _record(request, principal)
    return AuditPage(
        records=[AuditRecordOut.of(record) for record in found],
        next_after=found[-1].sequence if len(found) == limit else None,
    )


@router.get("/head", responses=problems(_PROBLEMS))
async def get_head(request: Request, principal: CurrentPrincipal) -> AuditHeadOut:
    """The newest record's number and hash, as it was before this read was recorded."""
    async with _reading(request, principal) as tx:
        head = await tx.audit_head()
    await _record(request, principal)
    if head is None:
        return AuditHeadOut(tenant=principal.tenant, sequence=0, hash=GENESIS_HASH, at=None)
    return AuditHeadOut(tenant=principal.tenant, sequence=head.sequence, hash=head.hash, at=head.fact.at)


def _reading(request: Request, principal: Principal) -> AbstractAsyncContextManager[AuditTransaction]:
    """A transaction of an administrator.

    Raises:
        Forbidden: the caller is none.
    """
    if not principal.is_tenant_admin:
        raise Forbidden(code="not_tenant_admin", detail="Only an administrator of the tenant reads its audit trail.")
    trail: Trail = request.state.audit
    return trail.store.transaction(Scope.of(principal))


async def _record(request: Request, principal: Principal) -> None:
    trail: Trail = request.state.audit
    await trail.reads.record(AuditFact(principal.tenant, principal.owner_id, AUDIT_READ, datetime.now(UTC)))
