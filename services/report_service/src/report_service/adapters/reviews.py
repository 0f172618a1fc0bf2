"""Reviews on PostgreSQL: the part of a transaction that is about them."""

from collections.abc import Collection
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import Row, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from radrelay_shared.events import Verdict
from report_service.adapters.tables import Base
from report_service.domain.report import ReviewState
from report_service.domain.review import Judgement, Label, Review

_TABLE = Base.metadata.tables["report.reviews"]
_REVIEWS = _TABLE.c
_REPORT = Base.metadata.tables["report.reports"]
_ADD = insert(_TABLE).on_conflict_do_nothing().returning(_REVIEWS.version)


class ReviewTransaction:
    """Reviews of reports that the transaction's scope sees; row security keeps those of others out."""

    def __init__(self, session: AsyncSession) -> None:
        self._review_session = session

    async def current_review(self, report_id: UUID) -> Review | None:
        """The last version, or None where nobody reviewed the report."""
        found = await self.review_versions(report_id, None, 1)
        return found[0] if found else None

    async def review_versions(self, report_id: UUID, before: int | None, limit: int) -> list[Review]:
        """Versions, newest first: at most `limit` of those before number `before`."""
        query = select(_TABLE).where(_REVIEWS.report_id == report_id).order_by(_REVIEWS.version.desc()).limit(limit)
        if before is not None:
            query = query.where(_REVIEWS.version < before)
        return [_review(row) for row in await self._review_session.execute(query)]

    async def reviewed_as(self, verdicts: Collection[Verdict], report_id: UUID, before: int) -> bool:
        """Whether a version before number `before` has one of these verdicts."""
        of_report = (_REVIEWS.report_id == report_id, _REVIEWS.version < before, _REVIEWS.verdict.in_(verdicts))
        return bool((await self._review_session.execute(select(exists().where(*of_report)))).scalar())

    async def add_review(self, review: Review) -> bool:
        """Keep a version, and have the report's row say its verdict.

        False where that version is there already, or the report is not any more: nothing may be committed then.
        """
        judgement = review.judgement
        of_report = (_REPORT.c.tenant == review.tenant, _REPORT.c.report_id == review.report_id)
        state = update(_REPORT).where(*of_report).values(review_state=ReviewState(judgement.verdict.value))
        # First, so that it waits for whoever erases the report, and then finds none.
        if (await self._review_session.execute(state.returning(_REPORT.c.report_id))).first() is None:
            return False
        # `asdict` goes into models of pydantic only as far as dataclasses: the region stays what it is.
        values = asdict(review) | asdict(judgement)
        del values["judgement"]
        return (await self._review_session.execute(_ADD, values)).first() is not None


def _review(row: Row[Any]) -> Review:
    return Review(
        tenant=row.tenant,
        report_id=row.report_id,
        owner_id=row.owner_id,
        version=row.version,
        judgement=Judgement(Verdict(row.verdict), Label(row.label), row.note, row.region),
        reviewer=row.reviewer,
        reviewed_at=row.reviewed_at,
    )
