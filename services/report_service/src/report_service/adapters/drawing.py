"""Drawing in processes of their own: the bytes are a stranger's, and decoders crash."""

import io
from asyncio import Semaphore
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt

from radrelay_imaging import (
    ColourMap,
    FrameValues,
    Refusal,
    RefusalReason,
    blend_heatmap,
    draw_heatmap,
    draw_image,
    picture_size,
    read_frame,
)
from radrelay_shared.sandbox import Sandbox, SandboxDied, SandboxTimeout
from report_service.domain.pictures import ChosenWindow
from report_service.settings import DrawingSettings

T = TypeVar("T")


class SandboxedDrawing:
    """The ports for drawing pictures and for reading frames; use as an async context manager."""

    def __init__(self, settings: DrawingSettings) -> None:
        self.sandbox = Sandbox(
            processes=settings.processes,
            timeout_s=settings.timeout_s,
            memory_bytes=settings.memory_bytes,
            preload=["radrelay_imaging", "report_service.adapters.pdf"],
        )
        # One image being drawn and one on its way for every process.
        self._room = Semaphore(2 * settings.processes)

    async def __aenter__(self) -> Self:
        await self.sandbox.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.sandbox.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Held while an image is in memory."""
        async with self._room:
            yield

    async def image(self, content: bytes, *, frame_number: int, shown: ChosenWindow, long_side_px: int) -> bytes:
        """See `radrelay_imaging.draw_image`.

        Raises:
            Refusal: as there; also decoder_crashed and decoder_timeout.
        """
        draw = partial(
            draw_image,
            frame_number=frame_number,
            window=shown.window,
            in_hounsfield=shown.in_hounsfield,
            long_side_px=long_side_px,
        )
        return await self._run(draw, content)

    async def heatmap(
        self, heatmap_npy: bytes, *, rows: int, columns: int, long_side_px: int, colour_map: ColourMap
    ) -> bytes:
        """A map over an image of that size, alone; see `radrelay_imaging.draw_heatmap`.

        Raises:
            Refusal: decoder_crashed or decoder_timeout.
        """
        draw = partial(draw_heatmap, size=picture_size(rows, columns, long_side_px), colour_map=colour_map)
        return await self._run(draw, _map(heatmap_npy))

    async def overlay(self, image_png: bytes, heatmap_npy: bytes, *, opacity: float, colour_map: ColourMap) -> bytes:
        """A map over an image's picture; see `radrelay_imaging.blend_heatmap`.

        Raises:
            Refusal: decoder_crashed or decoder_timeout.
        """
        blend = partial(blend_heatmap, opacity=opacity, colour_map=colour_map)
        return await self._run(blend, image_png, _map(heatmap_npy))

    async def frame(self, content: bytes, *, frame_number: int, long_side_px: int) -> FrameValues:
        """See `radrelay_imaging.read_frame`.

        Raises:
            Refusal: as there; also decoder_crashed and decoder_timeout.
        """
        return await self._run(partial(read_frame, frame_number=frame_number, long_side_px=long_side_px), content)

    async def _run(self, function: Callable[..., T], *args: object) -> T:
        """Call a function of the drawing library, which processes have already; this module they would import first."""
        try:
            return await self.sandbox.run(function, *args)
        except SandboxDied as died:
            raise Refusal(RefusalReason.DECODER_CRASHED, f"Drawing failed: {died}.") from None
        except SandboxTimeout as timeout:
            raise Refusal(RefusalReason.DECODER_TIMEOUT, f"Drawing failed: {timeout}.") from None


def _map(heatmap_npy: bytes) -> npt.NDArray[np.float32]:
    """The map in a `.npy` file, which is our own."""
    heat_yx: npt.NDArray[np.float32] = np.load(io.BytesIO(heatmap_npy), allow_pickle=False)
    return heat_yx
