"""The worker's loop over resumable uploads that have come whole: claimed, taken in, ended or given back."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest_service.adapters.outages import OUTAGES, is_outage
from ingest_service.domain.resumable import ClaimedUpload
from ingest_service.handlers.taking_in import TakingIn, remove_parts, take_in
from ingest_service.upload_ports import UploadQueue
from radrelay_shared.observability import context_of, get_tracer

_log = logging.getLogger(__name__)
_tracer = get_tracer(__name__)


class UploadTaker:
    """Takes in whole uploads, one after the other.

    A claim is a lease that is renewed while the work goes on: what a killed process had is taken up by another one
    when the lease has run out.
    """

    def __init__(self, means: TakingIn, queue: UploadQueue, lease_s: float) -> None:
        self._means = means
        self._queue = queue
        self._lease_s = lease_s

    async def take_all(self, stop: asyncio.Event) -> None:
        """Take in what is there, until nothing is left or `stop` is set: then what is in hand is given back.

        Raises:
            Exception: a store is away.
        """
        while not stop.is_set():
            now = datetime.now(UTC)
            claim = await self._queue.claim(now, self._until(now))
            if claim is None or not await self._take(claim, stop):
                return

    async def _take(self, claim: ClaimedUpload, stop: asyncio.Event) -> bool:
        """Work on one upload while its claim is renewed; return whether this is the time to go on with another."""
        work = asyncio.create_task(self._work(claim))
        renewing = asyncio.create_task(self._renew(claim))
        stopping = asyncio.create_task(stop.wait())
        tasks: set[asyncio.Task[Any]] = {work, renewing, stopping}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in (work, renewing):
            if not task.cancelled() and (error := task.exception()):
                return await self._goes_on_after(error, claim)
        if work.cancelled():
            await self._queue.release(claim)
        elif work.result():
            # Where this fails the sweeper does it: the upload has ended.
            await remove_parts(self._means.intake.objects, claim.upload)
        return True

    async def _work(self, claim: ClaimedUpload) -> bool:
        """Take it in, and return whether it was ours to the end."""
        with _tracer.start_as_current_span("take in upload", context=context_of(claim.traceparent)):
            await take_in(self._means, claim)
            return await self._queue.end(claim, datetime.now(UTC))

    async def _renew(self, claim: ClaimedUpload) -> None:
        """Return when somebody else has it: this process was away for longer than its lease."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            if not await self._queue.renew(claim, self._until(datetime.now(UTC))):
                return

    async def _goes_on_after(self, error: BaseException, claim: ClaimedUpload) -> bool:
        """Whether the other uploads can be taken in although this one could not."""
        upload_id = str(claim.upload.upload_id)
        if is_outage(error):
            with suppress(*OUTAGES):  # where the database is what is away, the lease runs out
                await self._queue.release(claim)
            raise error
        if isinstance(error, OSError):
            _log.warning("no place to take an upload in", extra={"upload_id": upload_id, "error": type(error).__name__})
            await self._queue.release(claim)
            return False
        # Left to its lease: taken up again some times, then refused.
        _log.error("an upload could not be taken in", exc_info=error, extra={"upload_id": upload_id})
        return True

    def _until(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._lease_s)
