"""Pictures of reports: drawn when somebody looks, kept where others will ask for the same, and given out."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from radrelay_imaging import ColourMap, Refusal
from radrelay_shared.audit.ports import ReadLog
from radrelay_shared.database import Scope
from radrelay_shared.objects import ObjectNotFound, ObjectStore, keys
from report_service.domain.audit import AuditAction
from report_service.domain.pictures import ChosenWindow, PictureKind, PictureRequest
from report_service.domain.report import Report
from report_service.handlers import FetchedRendering, ReportStore, fact_about, find_report, no_rendering

_READING = {
    PictureKind.IMAGE: AuditAction.IMAGE_READ,
    PictureKind.HEATMAP: AuditAction.HEATMAP_READ,
    PictureKind.OVERLAY: AuditAction.OVERLAY_READ,
}


class Drawing(Protocol):
    """Draws pictures, away from the event loop. Every method may raise Refusal: it cannot be drawn."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Held while an image is in memory, so that only so many are."""

    async def image(self, content: bytes, *, frame_number: int, shown: ChosenWindow, long_side_px: int) -> bytes:
        """See `radrelay_imaging.draw_image`."""

    async def heatmap(
        self, heatmap_npy: bytes, *, rows: int, columns: int, long_side_px: int, colour_map: ColourMap
    ) -> bytes:
        """A map over an image of that size, alone; see `radrelay_imaging.draw_heatmap`."""

    async def overlay(self, image_png: bytes, heatmap_npy: bytes, *, opacity: float, colour_map: ColourMap) -> bytes:
        """A map over an image's picture; see `radrelay_imaging.blend_heatmap`."""


class Pictures:
    """All pictures of all reports."""

    def __init__(self, reports: ReportStore, objects: ObjectStore, drawing: Drawing, reads: ReadLog) -> None:
        self._reports = reports
        self._objects = objects
        self._drawing = drawing
        self._reads = reads

    async def fetch(
        self,
        report_id: UUID,
        request: PictureRequest,
        *,
        known: Callable[[str], bool],
        scope: Scope,
        reason: str | None = None,
    ) -> FetchedRendering:
        """A picture of a report. `known` says of a tag whether the caller holds the picture.

        Who looked at it is recorded before it is returned, also where the caller holds it: it asks when it is looked
        at. `reason` goes into that record.

        Raises:
            NotFound: no such report for this scope, its image is gone or cannot be drawn so, or it has no map.
        """
        report = await find_report(report_id, scope, self._reports)
        etag = request.digest(report)
        body = None if known(etag) else await self.picture(report, request)
        await self._reads.record(fact_about(report, _READING[request.kind], scope.owner_id, reason=reason))
        return FetchedRendering(etag, body)

    async def picture(self, report: Report, request: PictureRequest) -> bytes:
        """The picture as a PNG file, from the object store where it was drawn before.

        Raises:
            NotFound: as for `fetch`.
        """
        if not request.is_kept(report):
            return await self._draw(report, request)
        key = keys.rendering(report.tenant, report.report_id, request.digest(report))
        try:
            return await self._objects.get(key)
        except ObjectNotFound:
            drawn = await self._draw(report, request)
        await self._objects.put(key, drawn, content_type="image/png")
        await self._leave_nothing_of_an_erased(report, key)
        return drawn

    async def _leave_nothing_of_an_erased(self, report: Report, key: str) -> None:
        """Whoever erases a report removes its rows, then what is kept of it: what came later is ours to remove."""
        async with self._reports.transaction(Scope.service(report.tenant)) as unit:
            remains = await unit.find(report.report_id) is not None
        if not remains:
            await self._objects.delete(key)

    async def _draw(self, report: Report, request: PictureRequest) -> bytes:
        try:
            if request.kind is PictureKind.IMAGE:
                return await self._draw_image(report, request)
            return await self._draw_heat(report, request)
        except ObjectNotFound as error:
            raise no_rendering(f"The object store no longer has the image of this {request.kind}.") from error
        except Refusal as refusal:
            raise no_rendering(f"The {request.kind} cannot be drawn: {refusal.reason}.") from refusal

    async def _draw_image(self, report: Report, request: PictureRequest) -> bytes:
        async with self._drawing.turn():
            return await self._drawing.image(
                await self._objects.get(report.source_key),
                frame_number=request.frame or report.frame_number,
                shown=request.chosen_window(report),
                long_side_px=request.size_px,
            )

    async def _draw_heat(self, report: Report, request: PictureRequest) -> bytes:
        if report.heatmap_npy is None or report.picture is None:
            raise no_rendering(f"This report was made before its {request.kind} was kept.")
        if request.kind is PictureKind.HEATMAP:
            return await self._drawing.heatmap(
                report.heatmap_npy,
                rows=report.picture.rows,
                columns=report.picture.columns,
                long_side_px=request.size_px,
                colour_map=request.colour_map,
            )
        image_png = await self.picture(report, request.of_image())
        return await self._drawing.overlay(
            image_png, report.heatmap_npy, opacity=request.opacity, colour_map=request.colour_map
        )
