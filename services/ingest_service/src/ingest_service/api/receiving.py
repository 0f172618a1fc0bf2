"""Takes in a multipart body as it arrives: each part is handled once it is whole, within the bounds of uploads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Final

from fastapi import Request
from starlette.requests import ClientDisconnect

from ingest_service import metrics
from ingest_service.adapters.outages import is_outage
from ingest_service.api.multipart import MalformedMultipart, PartSpooler, SpooledPart, TooManyParts
from ingest_service.bootstrap import Container
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.handlers.intake import SpooledFile
from ingest_service.handlers.reception import Reception
from ingest_service.settings import UploadSettings
from radrelay_shared.http import BadRequest, PayloadTooLarge, Problem, storage_unavailable

_CHUNKS_AHEAD: Final = 8
"""So many that came from the network may wait for the disk."""

Judge = Callable[[SpooledPart], tuple[SpooledFile, Refusal | None]]
"""Names the file that a part holds, and refuses it where the part says that it is none."""

PROBLEMS: Final = {
    400: "`empty_upload`, `malformed_multipart`, `client_disconnected`",
    408: "`upload_stalled`",
    413: "`body_too_large`, `too_many_files`",
    429: "`quota_exceeded`",
}
"""What an upload may be answered, for OpenAPI; 400, 408 and 413 count what is kept in `accepted` and `rejected`."""


class RequestTimeout(Problem):
    """The body brought next to nothing for too long."""

    status = 408


def check_announced_length(request: Request, limits: UploadSettings) -> None:
    """Refuse a body whose announced length is enough to know that it cannot be taken.

    Raises:
        BadRequest: nothing.
        PayloadTooLarge: more than the limit.
    """
    announced = request.headers.get("content-length", "")
    if announced == "0":
        raise _empty()
    if announced.isdecimal() and int(announced) > limits.max_body_bytes:
        raise _body_too_large(limits)


async def receive_parts(
    request: Request, boundary: bytes, judge: Judge, reception: Reception, services: Container
) -> None:
    """Take the whole body into `reception`, and wait until every file of it has its outcome.

    Raises:
        Problem: it ended early; what was whole before is kept, and the problem says how many files that were.
    """
    limits = services.upload
    spooler = PartSpooler(
        boundary, services.intake.new_path, max_file_bytes=limits.max_file_bytes, max_parts=limits.max_files
    )
    try:
        async with reception:
            await _receive(request, spooler, judge, reception, limits)
    except Exception as error:
        problem = problem_of(error)
        if problem is None:
            raise
        problem.extensions |= {"accepted": len(reception.accepted), "rejected": len(reception.rejected)}
        raise problem from error
    finally:
        await asyncio.to_thread(spooler.close)
    if not reception.accepted and not reception.rejected:
        raise _empty()


async def _receive(
    request: Request, spooler: PartSpooler, judge: Judge, reception: Reception, limits: UploadSettings
) -> None:
    async for chunks in _gathered(request, limits):
        try:
            await asyncio.to_thread(spooler.feed, chunks)
        finally:
            for part in spooler.take():
                await _hand_over(part, judge, reception, limits)
    spooler.finish()


async def _gathered(request: Request, limits: UploadSettings) -> AsyncIterator[list[bytes]]:
    """The body: each time what has come while the last piece was worked on, for every piece costs a change of threads.

    An error comes after everything that came before it.
    """
    ahead: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(_CHUNKS_AHEAD)
    pump = asyncio.create_task(_pump(request, limits, ahead))
    try:
        last: bytes | Exception | None = b""
        while isinstance(last, bytes):
            chunks = []
            last = await ahead.get()
            while isinstance(last, bytes):
                chunks.append(last)
                if ahead.empty():
                    break
                last = ahead.get_nowait()
            if chunks:
                yield chunks
        if last is not None:
            raise last
    finally:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)


async def _pump(request: Request, limits: UploadSettings, ahead: "asyncio.Queue[bytes | Exception | None]") -> None:
    """Put the body into `ahead` as it arrives, and at the end None, or what ended it."""
    try:
        async for chunk in body_chunks(request, limits):
            await ahead.put(chunk)
    except Exception as error:  # noqa: BLE001  # raised by whoever takes it from the queue
        await ahead.put(error)
    else:
        await ahead.put(None)


async def body_chunks(request: Request, limits: UploadSettings) -> AsyncIterator[bytes]:
    """The body as it arrives.

    Raises:
        RequestTimeout: it brings nothing for too long.
        PayloadTooLarge: it brings more than the limit.
        ClientDisconnect: it breaks off.
    """
    stream = aiter(request.stream())
    total = fresh = 0
    waited_s = 0.0
    while True:
        began = monotonic()
        try:
            async with asyncio.timeout(limits.stall_timeout_s - waited_s):
                chunk = await anext(stream, None)
        except TimeoutError as error:
            raise _stalled(limits) from error
        if chunk is None:
            return
        waited_s += monotonic() - began
        fresh += len(chunk)
        if fresh >= limits.stall_bytes:
            waited_s, fresh = 0.0, 0
        total += len(chunk)
        metrics.BYTES_RECEIVED.inc(len(chunk))
        if total > limits.max_body_bytes:
            raise _body_too_large(limits)
        if chunk:
            yield chunk


async def _hand_over(part: SpooledPart, judge: Judge, reception: Reception, limits: UploadSettings) -> None:
    file, refusal = judge(part)
    if refusal is None and part.over_limit:
        refusal = Refusal(RejectReason.TOO_LARGE, f"{part.size_bytes} bytes, more than {limits.max_file_bytes}")
    if refusal is None:
        await reception.submit(file)
    else:
        await asyncio.to_thread(part.path.unlink)
        await reception.refuse(file.received, refusal)


def _empty() -> Problem:
    return BadRequest(code="empty_upload", detail="The request holds no file.")


def _stalled(limits: UploadSettings) -> Problem:
    detail = f"Less than {limits.stall_bytes} bytes arrived in {limits.stall_timeout_s:g} s of waiting."
    return RequestTimeout(code="upload_stalled", detail=detail)


def _body_too_large(limits: UploadSettings) -> Problem:
    return PayloadTooLarge(code="body_too_large", detail=f"A request takes at most {limits.max_body_bytes} bytes.")


def problem_of(error: Exception) -> Problem | None:
    """What the client is told of an upload that ended early; None where it is a fault of ours."""
    match error:
        case Problem():
            return error
        case MalformedMultipart():
            return BadRequest(code="malformed_multipart", detail=f"The upload cannot be read: {error}.")
        case TooManyParts():
            return PayloadTooLarge(code="too_many_files", detail=f"Too many parts: {error}.")
        case ClientDisconnect():
            return BadRequest(code="client_disconnected", detail="The connection ended within the body.")
    return storage_unavailable(error) if is_outage(error) else None
