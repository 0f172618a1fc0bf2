"""Preparing images in processes of their own: a crash, a hang or a bomb costs one image, never the worker."""

from types import TracebackType
from typing import Self

from inference_service.bundles.image_spec import ImageSpec
from inference_service.imaging import PreparedFrame, prepare_frames
from inference_service.urgent_first import UrgentFirst
from radrelay_imaging import Refusal, RefusalReason
from radrelay_shared.events import Urgency
from radrelay_shared.sandbox import Sandbox, SandboxDied, SandboxTimeout


class ImagePool:
    """`prepare_frames` in a sandbox, the most urgent image first; use as an async context manager."""

    def __init__(self, *, processes: int, timeout_s: float, memory_bytes: int) -> None:
        self._slots = UrgentFirst(processes)
        self._sandbox = Sandbox(
            processes=processes, timeout_s=timeout_s, memory_bytes=memory_bytes, preload=["inference_service.imaging"]
        )

    async def __aenter__(self) -> Self:
        await self._sandbox.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sandbox.__aexit__(kind, error, trace)

    async def prepare(
        self, content: bytes, spec: ImageSpec, *, urgency: Urgency = Urgency.ROUTINE
    ) -> tuple[PreparedFrame, ...]:
        """See `imaging.prepare_frames`.

        Raises:
            Refusal: as there; also decoder_crashed and decoder_timeout.
        """
        try:
            async with self._slots.place(urgency):
                return await self._sandbox.run(prepare_frames, content, spec)
        except SandboxDied as died:
            raise Refusal(RefusalReason.DECODER_CRASHED, f"Decoding failed: {died}.") from None
        except SandboxTimeout as timeout:
            raise Refusal(RefusalReason.DECODER_TIMEOUT, f"Decoding failed: {timeout}.") from None
