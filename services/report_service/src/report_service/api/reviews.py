"""The routes of a report's review."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from radrelay_shared.auth import CurrentPrincipal, Principal, Role
from radrelay_shared.database import Scope
from radrelay_shared.events import Verdict
from radrelay_shared.http import Forbidden, PreconditionRequired, problems
from report_service import reviewing
from report_service.api.dependencies import container_of
from report_service.api.tags import is_current, tag_of
from report_service.domain.region import Region
from report_service.domain.review import MAX_NOTE_CHARACTERS, Judgement, Label, Review

MAX_PAGE = 200
_MAX_VERSION = 2**31 - 1
_ETAG = {"ETag": {"description": "Of this state: give it as `If-Match` to review.", "schema": {"type": "string"}}}

router = APIRouter(prefix="/v1/reports/{report_id}/review", tags=["reviews"])


class ReviewIn(BaseModel):
    """What a reviewer says."""

    model_config = ConfigDict(extra="forbid")

    verdict: Verdict
    label: Label = Field(description="What you see, in terms of the report's `finding`.")
    note: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_NOTE_CHARACTERS,
        description="Kept as given: escape it wherever it is shown.",
    )
    region: Region | None = None


class ReviewOut(BaseModel):
    """One version of a review."""

    report_id: UUID
    version: int = Field(description="1 for the first, without gaps.")
    verdict: Verdict
    label: Label
    note: str | None = Field(description="As it was given: escape it wherever it is shown.")
    region: Region | None
    reviewer: str
    reviewed_at: datetime

    @classmethod
    def of(cls, review: Review) -> "ReviewOut":
        """The view of a review."""
        judgement = review.judgement
        return cls(
            report_id=review.report_id,
            version=review.version,
            verdict=judgement.verdict,
            label=judgement.label,
            note=judgement.note,
            region=judgement.region,
            reviewer=review.reviewer,
            reviewed_at=review.reviewed_at,
        )


class ReviewVersions(BaseModel):
    """Versions of a review, newest first."""

    reviews: list[ReviewOut]
    next_before: int | None = Field(description="Pass as `before` for the next page; null on the last.")


@router.put(
    "",
    responses={
        200: {"headers": _ETAG},
        **problems(
            {
                400: "`bad_request`: the body is no JSON.",
                403: "`not_a_reviewer`",
                404: "`report_not_found`",
                412: "`review_changed`",
                422: "`contradictory_review`, `unstorable_note`, `region_outside_image`,"
                " `no_image_size`; `invalid_request`: the request does not fit its schema.",
                428: "`if_match_required`",
            }
        ),
    },
)
async def put_review(
    request: Request,
    response: Response,
    principal: CurrentPrincipal,
    report_id: UUID,
    body: ReviewIn,
    if_match: Annotated[str | None, Header(description="The `ETag` of the report, or of its review.")] = None,
) -> ReviewOut:
    """Review a report that you see: what you say takes the place of what was said before, which is kept too."""
    _check_reviewer(principal)
    if if_match is None:
        raise PreconditionRequired(
            code="if_match_required", detail="Say by `If-Match` which state you saw: the report's `ETag`."
        )
    review = await reviewing.review_report(
        report_id,
        Judgement(body.verdict, body.label, body.note, body.region),
        is_current=lambda version: is_current(if_match, report_id, version),
        scope=Scope.of(principal),
        store=container_of(request).reviews,
    )
    response.headers["ETag"] = tag_of(report_id, review.version)
    return ReviewOut.of(review)


@router.get("", responses={200: {"headers": _ETAG}, **problems({404: "`report_not_found`, `review_not_found`"})})
async def get_review(request: Request, response: Response, principal: CurrentPrincipal, report_id: UUID) -> ReviewOut:
    """The review that stands."""
    container = container_of(request)
    review = await reviewing.get_review(
        report_id, scope=Scope.of(principal), store=container.reviews, reads=container.reads
    )
    response.headers["ETag"] = tag_of(report_id, review.version)
    return ReviewOut.of(review)


@router.get("/versions", responses=problems({404: "`report_not_found`"}))
async def list_review_versions(
    request: Request,
    principal: CurrentPrincipal,
    report_id: UUID,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    before: Annotated[int | None, Query(ge=1, le=_MAX_VERSION, description="Only versions before this one.")] = None,
) -> ReviewVersions:
    """Every version of the report's review, newest first; none where nobody has reviewed it."""
    container = container_of(request)
    page = await reviewing.list_review_versions(
        report_id,
        before=before,
        limit=limit,
        scope=Scope.of(principal),
        store=container.reviews,
        reads=container.reads,
    )
    return ReviewVersions(reviews=[ReviewOut.of(each) for each in page.reviews], next_before=page.next_before)


def _check_reviewer(principal: Principal) -> None:
    """Go on only with a person.

    Raises:
        Forbidden: the caller is neither a clinician nor an administrator.
    """
    if not principal.roles & {Role.CLINICIAN, Role.TENANT_ADMIN}:
        raise Forbidden(code="not_a_reviewer", detail="Only a clinician or an administrator of the tenant reviews.")
