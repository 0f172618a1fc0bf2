"""Work on pixels in processes of their own: a crash, a hang or a bomb costs one image, never the worker."""

import asyncio
import logging
import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Final, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pebble import ProcessExpired, ProcessPool

from inference_service.bundles.image_spec import ImageSpec
from inference_service.imaging import (
    Heatmap,
    Placement,
    PreparedFrame,
    Refusal,
    RefusalReason,
    prepare_frames,
    render_heatmap,
)
from inference_service.metrics import DECODER_LOSSES
from inference_service.urgent_first import UrgentFirst
from radrelay_shared.events import Urgency

T = TypeVar("T")

_START_S: Final = 30.0
"""How long a process may take to start before the pool counts as broken."""
_TRIES: Final = 2

_log = logging.getLogger(__name__)


class ImagePool:
    """`imaging` behind a pool of processes with a time and a memory limit each; use as an async context manager.

    A process that dies takes only its own image with it, which is tried once more on another one: it may have been
    killed for somebody else's memory. A second death is the image's own doing.
    """

    def __init__(self, *, processes: int, timeout_s: float, memory_bytes: int) -> None:
        self._processes = processes
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._slots = UrgentFirst(processes)
        self._pool = self._make_pool()

    async def __aenter__(self) -> Self:
        await asyncio.gather(*(self._run(_be_ready) for _ in range(self._processes)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(_discard, self._pool)

    async def prepare(
        self, content: bytes, spec: ImageSpec, *, urgency: Urgency = Urgency.ROUTINE
    ) -> tuple[PreparedFrame, ...]:
        """See `imaging.prepare_frames`.

        Raises:
            Refusal: as there; also decoder_crashed and decoder_timeout.
        """
        try:
            return await self._run(prepare_frames, content, spec, urgency=urgency)
        except (ProcessExpired, BrokenProcessPool):
            raise Refusal(RefusalReason.DECODER_CRASHED, f"The decoder died {_TRIES} times on this image.") from None
        except TimeoutError:
            detail = f"Decoding took longer than {self._timeout_s:g} s."
            raise Refusal(RefusalReason.DECODER_TIMEOUT, detail) from None

    async def render(
        self, cam_yx: npt.NDArray[np.float32], placement: Placement, *, urgency: Urgency = Urgency.ROUTINE
    ) -> Heatmap:
        """See `imaging.render_heatmap`."""
        return await self._run(render_heatmap, cam_yx, placement, urgency=urgency)

    async def _run(self, function: Callable[..., T], *args: object, urgency: Urgency = Urgency.ROUTINE) -> T:
        async with self._slots.place(urgency):
            for _ in range(_TRIES - 1):
                try:
                    return await self._try(function, *args)
                except (ProcessExpired, BrokenProcessPool):
                    continue
            return await self._try(function, *args)

    async def _try(self, function: Callable[..., T], *args: object) -> T:
        if not self._pool.active:
            self._replace(self._pool)
        pool = self._pool
        result = asyncio.wrap_future(pool.schedule(function, args=args, timeout=self._timeout_s))
        try:
            await asyncio.wait({result}, timeout=self._timeout_s + _START_S)
            if not result.done():
                self._replace(pool)
                raise BrokenProcessPool("the pool does not answer")
            return result.result()
        except ProcessExpired:
            self._note_loss("died")
            raise
        except TimeoutError:
            self._note_loss("hung")
            raise
        finally:
            result.cancel()

    def _replace(self, broken: ProcessPool) -> None:
        """Start a new pool, once for all who notice; a process killed while it sends leaves the old one unusable."""
        if self._pool is broken:
            self._note_loss("pool_broken")
            self._pool = self._make_pool()
            Thread(target=_discard, args=(broken,), name="discard-image-pool", daemon=True).start()

    def _note_loss(self, cause: str) -> None:
        DECODER_LOSSES.labels(cause).inc()
        _log.warning("lost a decoding process", extra={"cause": cause})

    def _make_pool(self) -> ProcessPool:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["inference_service.imaging"])
        return ProcessPool(
            max_workers=self._processes, initializer=_limit, initargs=(self._memory_bytes,), context=context
        )


def _limit(memory_bytes: int) -> None:
    """Bound what this process may still take, leave no core dump with a patient's pixels, and say nothing of its own.

    pydicom logs values from the file.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    ceiling = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)


def _be_ready() -> None:
    """Nothing: having run at all means that the process is up."""


def _discard(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it untyped
    pool.join()
