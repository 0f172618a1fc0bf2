"""What one association brings: a batch, made at its first image and closed when the association ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from uuid import uuid4

from ingest_service.adapters.outages import is_outage
from ingest_service.dimse.settings import Peer
from ingest_service.domain.archive import ArchivePlan
from ingest_service.domain.dicom import DicomFacts
from ingest_service.domain.identity import SopReference
from ingest_service.domain.model import Batch, Outcome
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.handlers.batches import close_batch, create_batch
from ingest_service.handlers.intake import SpooledFile, receive_file, reject_file
from ingest_service.ports import Intake, Validator
from radrelay_shared.database import Scope
from radrelay_shared.http import Conflict

_log = logging.getLogger(__name__)


class Delivery:
    """The images of one association. Its calls are made one after the other."""

    def __init__(self, intake: Intake, slots: asyncio.Semaphore, peer: Peer, *, timeout_s: float) -> None:
        """`slots` bounds the files handled by the whole process; `timeout_s` is for one image or for the end."""
        self._intake = intake
        self._slots = slots
        self._peer = peer
        self._timeout_s = timeout_s
        self._caller = Scope(peer.tenant, peer.owner_id, "clinician")
        self._batch: Batch | None = None
        self._places = count(1)

    async def store(self, file: SpooledFile, sop: SopReference) -> Outcome:
        """Take in one image: durable when this returns Accepted. `sop` is what the C-STORE command says it brings.

        Raises:
            OSError: it took too long.
            Exception: whatever a store that is away raises.
        """
        file = self._named(file)
        intake = replace(self._intake, validator=_MatchingValidator(self._intake.validator, sop))

        async def receive(batch: Batch) -> Outcome:
            return await receive_file(intake, self._caller, batch, file)

        async with asyncio.timeout(self._timeout_s), self._slots:
            return await self._in_batch(receive)

    async def refuse(self, file: SpooledFile, refusal: Refusal) -> Outcome:
        """Record an image that is refused without being looked at; raises as `store` does."""
        file = self._named(file)

        async def reject(batch: Batch) -> Outcome:
            return await reject_file(self._intake.records, self._caller, batch, file.received, refusal)

        async with asyncio.timeout(self._timeout_s):
            return await self._in_batch(reject)

    async def end(self) -> None:
        """Close the batch. Where the database is away, the sweeper closes it later."""
        if self._batch is None:
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                await close_batch(self._intake.records, self._caller, self._batch.batch_id)
        except Exception as error:
            if not is_outage(error):
                raise
            _log.warning("a batch is left to the sweeper", extra={"error": type(error).__name__})

    def _named(self, file: SpooledFile) -> SpooledFile:
        """Where the tenant de-identifies, the SOP Instance UID is no name: the place in the association is."""
        hidden = self._peer.tenant in self._intake.deidentifiers
        return replace(file, name=f"file-{next(self._places)}") if hidden else file

    async def _in_batch(self, work: Callable[[Batch], Awaitable[Outcome]]) -> Outcome:
        """Do `work` in the batch, or in another one where its owner has closed it meanwhile."""
        if self._batch is not None:
            try:
                return await work(self._batch)
            except Conflict:
                self._batch = None
        label = f"C-STORE from {self._peer.calling_ae}"
        opened = await create_batch(
            self._intake.records, self._caller, batch_id=uuid4(), label=label, priority=self._peer.priority
        )
        self._batch = opened.batch
        return await work(self._batch)


class _MatchingValidator:
    """A validator that also holds the data set to what the command says of it."""

    def __init__(self, inner: Validator, sop: SopReference) -> None:
        self._inner = inner
        self._sop = sop

    async def validate(self, path: Path) -> DicomFacts:
        """Facts of a DICOM file; raises Refusal."""
        facts = await self._inner.validate(path)
        if facts.sop != self._sop:
            raise Refusal(RejectReason.SOP_MISMATCH, "Affected SOP Class or Instance UID is not the data set's")
        return facts

    async def plan(self, path: Path) -> ArchivePlan:
        """What to unpack of a ZIP archive; raises Refusal."""
        return await self._inner.plan(path)
