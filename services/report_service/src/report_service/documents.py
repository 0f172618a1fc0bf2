"""The visual report as a page or a PDF: one content, two forms."""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

from radrelay_shared.audit.ports import ReadLog
from radrelay_shared.database import Scope
from radrelay_shared.http import NotFound
from report_service.domain.audit import AuditAction
from report_service.domain.pictures import PictureKind, PictureRequest
from report_service.domain.report import Report
from report_service.domain.visual import SHOWN, Figure, ShownReview, VisualReport, alt_of, caption_of, visual_report
from report_service.handlers import FetchedRendering, ReportStore, fact_about, find_report
from report_service.pictures import Pictures
from report_service.reviewing import ReviewStore

_SIZE_PX: Final = 512
"""What a picture on a page needs at 150 dots per inch."""


class DocumentType(StrEnum):
    """What a visual report is made of."""

    HTML = "text/html"
    PDF = "application/pdf"


class Typesetting(Protocol):
    """Makes documents."""

    version: str
    """Another one whenever the same report gives another document."""

    async def typeset(self, report: VisualReport, kind: DocumentType) -> bytes:
        """The report as a document, on its own: nothing is fetched to show it."""


class Documents:
    """The visual reports of all reports."""

    def __init__(
        self,
        reports: ReportStore,
        reviews: ReviewStore,
        pictures: Pictures,
        typesetting: Typesetting,
        reads: ReadLog,
    ) -> None:
        self._reports = reports
        self._reviews = reviews
        self._pictures = pictures
        self._typesetting = typesetting
        self._reads = reads

    async def fetch(
        self, report_id: UUID, kind: DocumentType, *, known: Callable[[str], bool], scope: Scope
    ) -> FetchedRendering:
        """A report's document. `known` says of a tag whether the caller holds it.

        Who read it is recorded before it is returned.

        Raises:
            NotFound: no such report for this scope.
        """
        report = await find_report(report_id, scope, self._reports)
        figures = tuple([await self._figure(report, shown) for shown in SHOWN])
        visual = visual_report(report, figures, await self._latest_review(report, scope))
        etag = f"{visual.digest()}-{self._typesetting.version}-{kind.name.lower()}"
        body = None if known(etag) else await self._typesetting.typeset(visual, kind)
        await self._reads.record(fact_about(report, AuditAction.DOCUMENT_READ, scope.owner_id))
        return FetchedRendering(etag, body)

    async def _figure(self, report: Report, kind: PictureKind) -> Figure:
        try:
            png = await self._pictures.picture(report, PictureRequest(kind, size_px=_SIZE_PX))
        except NotFound as error:
            return Figure(kind.value, caption_of(kind, report), error.detail, None)
        return Figure(kind.value, caption_of(kind, report), alt_of(kind, report), png)

    async def _latest_review(self, report: Report, scope: Scope) -> ShownReview | None:
        async with self._reviews.transaction(scope) as unit:
            review = await unit.current_review(report.report_id)
        if review is None:
            return None
        said = review.judgement
        return ShownReview(said.verdict, said.label, said.note, review.reviewer, review.reviewed_at)
