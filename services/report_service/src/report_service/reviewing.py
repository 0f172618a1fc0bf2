"""Reviewing reports: one function per use case, on ports."""

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from radrelay_shared.audit import AuditFact
from radrelay_shared.audit.ports import ReadLog
from radrelay_shared.database import Scope
from radrelay_shared.events import Event, Verdict, make_event
from radrelay_shared.http import NotFound, PreconditionFailed, UnprocessableContent
from report_service.domain.audit import AuditAction
from report_service.domain.report import Report
from report_service.domain.review import (
    ImpossibleReview,
    Judgement,
    Review,
    check_judgement,
    report_reviewed,
    reviewed_event_id,
)
from report_service.handlers import SOURCE, fact_about, found


class ReviewUnit(Protocol):
    """One transaction on the reports that a scope may touch, and their reviews."""

    async def find(self, report_id: UUID) -> Report | None:
        """The report, or None where the scope has none of that identifier."""

    async def current_review(self, report_id: UUID) -> Review | None:
        """The last version, or None where nobody reviewed the report."""

    async def review_versions(self, report_id: UUID, before: int | None, limit: int) -> list[Review]:
        """Versions, newest first: at most `limit` of those before number `before`."""

    async def reviewed_as(self, verdicts: Collection[Verdict], report_id: UUID, before: int) -> bool:
        """Whether a version before number `before` has one of these verdicts."""

    async def add_review(self, review: Review) -> bool:
        """Keep a version, and have the report's row say its verdict.

        False where that version is there already, or the report is not any more: nothing may be committed then.
        """

    async def announce(self, event: Event[Any]) -> None:
        """Have the event published after, and only if, the transaction commits."""

    async def audit(self, *facts: AuditFact) -> None:
        """Append to the tenant's audit chain. Call it last: other writers of the tenant wait from here to the end."""


class ReviewStore(Protocol):
    """Where reports and their reviews are kept."""

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[ReviewUnit]:
        """Commits on normal exit, else rolls back; sees and writes only what the scope allows."""


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """Versions of a review, newest first, and before which number the next page begins: None on the last."""

    reviews: tuple[Review, ...]
    next_before: int | None


async def review_report(
    report_id: UUID, judgement: Judgement, *, is_current: Callable[[int], bool], scope: Scope, store: ReviewStore
) -> Review:
    """Keep the next version of a report's review, announce it and record who made it, all in one transaction.

    `is_current` says of the number of the version that stands, 0 where there is none, whether the caller saw that.

    Raises:
        NotFound: there is no such report for this scope.
        PreconditionFailed: the caller has not seen what stands, or another review came first.
        UnprocessableContent: the judgement cannot be one of this report.
    """
    async with store.transaction(scope) as unit:
        report = found(await unit.find(report_id))
        previous = await unit.current_review(report_id)
        version = 0 if previous is None else previous.version
        if not is_current(version):
            raise _changed()
        try:
            check_judgement(judgement, report)
        except ImpossibleReview as error:
            raise UnprocessableContent(code=error.code, detail=error.detail) from error
        review = Review(
            tenant=report.tenant,
            report_id=report_id,
            owner_id=report.owner_id,
            version=version + 1,
            judgement=judgement,
            reviewer=scope.owner_id,
            reviewed_at=datetime.now(UTC),
        )
        if not await unit.add_review(review):
            raise _changed()
        event = make_event(
            report_reviewed(report, review, previous),
            tenant=report.tenant,
            source=SOURCE,
            event_id=reviewed_event_id(report_id, review.version),
        )
        await unit.announce(event)
        await unit.audit(fact_about(report, AuditAction.REPORT_REVIEWED, scope.owner_id))
    return review


async def get_review(report_id: UUID, *, scope: Scope, store: ReviewStore, reads: ReadLog) -> Review:
    """The review that stands; who read it is recorded before it is returned.

    Raises:
        NotFound: there is no such report for this scope, or nobody has reviewed it.
    """
    async with store.transaction(scope) as unit:
        report = found(await unit.find(report_id))
        review = await unit.current_review(report_id)
    if review is None:
        raise NotFound(code="review_not_found", detail="Nobody has reviewed this report yet.")
    await reads.record(fact_about(report, AuditAction.REVIEW_READ, scope.owner_id))
    return review


async def list_review_versions(
    report_id: UUID, *, before: int | None, limit: int, scope: Scope, store: ReviewStore, reads: ReadLog
) -> ReviewPage:
    """Versions of a report's review, newest first; who read them is recorded before they are returned.

    Raises:
        NotFound: there is no such report for this scope.
    """
    async with store.transaction(scope) as unit:
        report = found(await unit.find(report_id))
        versions = await unit.review_versions(report_id, before, limit + 1)
    await reads.record(fact_about(report, AuditAction.REVIEW_READ, scope.owner_id))
    kept = tuple(versions[:limit])
    return ReviewPage(kept, kept[-1].version if len(versions) > limit else None)


async def review_version(report_id: UUID, *, scope: Scope, store: ReviewStore) -> int:
    """The number of the version that stands; 0 where there is none, or no such report for this scope."""
    async with store.transaction(scope) as unit:
        review = await unit.current_review(report_id)
    return 0 if review is None else review.version


def _changed() -> PreconditionFailed:
    return PreconditionFailed(
        code="review_changed", detail="The review is not what you last saw. Read it again, then decide."
    )
