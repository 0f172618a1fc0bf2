"""Frames of reports' images as values, for viewers in which a clinician changes the window."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from radrelay_imaging import FrameValues, Refusal
from radrelay_shared.audit.ports import ReadLog
from radrelay_shared.database import Scope
from radrelay_shared.objects import ObjectNotFound, ObjectStore
from report_service.domain.audit import AuditAction
from report_service.domain.frames import FrameRequest
from report_service.domain.report import Report
from report_service.handlers import ReportStore, fact_about, find_report, no_rendering


class FrameReading(Protocol):
    """Decodes frames, away from the event loop."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Held while an image is in memory, so that only so many are."""

    async def frame(self, content: bytes, *, frame_number: int, long_side_px: int) -> FrameValues:
        """See `radrelay_imaging.read_frame`. Raises Refusal."""


@dataclass(frozen=True, slots=True)
class FetchedFrame:
    """A frame's values, or None where the caller has them already, and their tag."""

    etag: str
    values: FrameValues | None


@dataclass(frozen=True, slots=True)
class Frames:
    """All frames of all reports.

    None is kept in the object store: whoever looks at a case has its frames in the browser while the case is open and
    asks only whether they still stand, and hardly anybody else looks at the same one soon. Kept ones would take as much
    room as the images, and more.
    """

    reports: ReportStore
    objects: ObjectStore
    reading: FrameReading
    reads: ReadLog

    async def fetch(
        self, report_id: UUID, request: FrameRequest, *, known: Callable[[str], bool], scope: Scope
    ) -> FetchedFrame:
        """A frame of a report's image. `known` says of a tag whether the caller holds its values.

        Who looked at it is recorded before it is returned, also where the caller holds it.

        Raises:
            NotFound: no such report for this scope, or its image is gone, cannot be decoded or has no such frame.
        """
        report = await find_report(report_id, scope, self.reports)
        etag = request.digest(report)
        values = None if known(etag) else await self._read(report, request)
        await self.reads.record(fact_about(report, AuditAction.IMAGE_READ, scope.owner_id))
        return FetchedFrame(etag, values)

    async def _read(self, report: Report, request: FrameRequest) -> FrameValues:
        try:
            async with self.reading.turn():
                return await self.reading.frame(
                    await self.objects.get(report.source_key),
                    frame_number=request.number(report),
                    long_side_px=request.size_px,
                )
        except ObjectNotFound as error:
            raise no_rendering("The object store no longer has the image of this frame.") from error
        except Refusal as refusal:
            raise no_rendering(f"The frame cannot be read: {refusal.reason}.") from refusal
