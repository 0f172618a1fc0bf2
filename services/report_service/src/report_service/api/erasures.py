"""The routes under /v1/erasures, for the tenant's administrators."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from radrelay_shared.auth import CurrentPrincipal
from radrelay_shared.database import Scope
from radrelay_shared.events.models import DicomUid
from radrelay_shared.http import problems
from report_service import erasing
from report_service.api.administrators import check_administrator
from report_service.api.dependencies import container_of
from report_service.api.filters import PatientId
from report_service.domain.erasure import Erasure, ErasureReason, Target
from report_service.study_handlers import patient_hash

router = APIRouter(prefix="/v1/erasures", tags=["erasures"])

_REFUSAL: Final = "Only an administrator of the tenant erases."


class ErasureState(StrEnum):
    """How an erasure stands."""

    REQUESTED = "requested"
    DONE = "done"


class StudyErasureIn(BaseModel):
    """All images of a study that were received until now."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["study"]
    study_instance_uid: DicomUid
    reason: Literal[ErasureReason.PATIENT_REQUEST, ErasureReason.MISTAKE]

    def target(self) -> Target:
        """What is to be erased."""
        return Target(self.study_instance_uid, None)


class ImageErasureIn(BaseModel):
    """One image."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["image"]
    instance_id: UUID
    reason: Literal[ErasureReason.PATIENT_REQUEST, ErasureReason.MISTAKE]

    def target(self) -> Target:
        """What is to be erased."""
        return Target(None, self.instance_id)


class PatientErasureIn(BaseModel):
    """All studies of a patient, as far as their patient has been read."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["patient"]
    patient_id: PatientId
    reason: Literal[ErasureReason.PATIENT_REQUEST, ErasureReason.MISTAKE]


ErasureIn = Annotated[StudyErasureIn | ImageErasureIn | PatientErasureIn, Field(discriminator="kind")]


class ErasureOut(BaseModel):
    """An erasure. It does not say of what: that is forgotten with it."""

    erasure_id: UUID
    state: ErasureState = Field(description="`done`: reports, reviews and pictures are gone.")
    reason: ErasureReason
    requested_by: str
    requested_at: datetime
    reports: int = Field(description="So many reports were erased.")
    done_at: datetime | None

    @classmethod
    def of(cls, erasure: Erasure) -> Self:
        """The view of an erasure."""
        return cls(
            erasure_id=erasure.erasure_id,
            state=ErasureState.REQUESTED if erasure.done_at is None else ErasureState.DONE,
            reason=erasure.reason,
            requested_by=erasure.requested_by,
            requested_at=erasure.requested_at,
            reports=erasure.reports,
            done_at=erasure.done_at,
        )


class ErasuresOut(BaseModel):
    """What was asked for: ask how each stands."""

    erasures: list[ErasureOut]


@router.post(
    "",
    status_code=202,
    responses=problems(
        {400: "`bad_request`: the body is no JSON.", 403: "`not_tenant_admin`", 409: "`patients_not_kept`"}
    ),
)
async def request_erasure(request: Request, principal: CurrentPrincipal, body: ErasureIn) -> ErasuresOut:
    """Erase a patient's studies, a study or an image of your tenant for good, whoever sent them.

    Files, reports, reviews and pictures go. It is carried out soon after, and cannot be taken back. What is not there
    is erased already.
    """
    check_administrator(principal, _REFUSAL)
    container, scope = container_of(request), Scope.of(principal)
    if isinstance(body, PatientErasureIn):
        hashed = patient_hash(body.patient_id, scope, container.patients)
        targets = await erasing.studies_of_patient(hashed, scope=scope, store=container.erasures)
    else:
        targets = [body.target()]
    made = await erasing.request_erasures(targets, body.reason, scope=scope, store=container.erasures)
    return ErasuresOut(erasures=[ErasureOut.of(each) for each in made])


@router.get("/{erasure_id}", responses=problems({403: "`not_tenant_admin`", 404: "`erasure_not_found`"}))
async def get_erasure(request: Request, principal: CurrentPrincipal, erasure_id: UUID) -> ErasureOut:
    """How an erasure stands."""
    check_administrator(principal, _REFUSAL)
    return ErasureOut.of(
        await erasing.get_erasure(erasure_id, scope=Scope.of(principal), store=container_of(request).erasures)
    )
