"""A resumable upload that has come whole: put together again, and taken in like a file that came in one piece."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest_service.domain.archive import MAGIC_LENGTH, is_archive
from ingest_service.domain.model import Batch, ReceivedFile
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.domain.resumable import ClaimedUpload, ResumableUpload, UploadPart
from ingest_service.handlers.batches import find_batch
from ingest_service.handlers.intake import SpooledFile
from ingest_service.handlers.reception import Reception
from ingest_service.ports import Intake
from radrelay_shared.database import Scope
from radrelay_shared.http import Conflict
from radrelay_shared.objects import ObjectNotFound, ObjectStore, keys

MAX_ATTEMPTS: Final = 5
"""After so many attempts that nobody brought to an end, an upload is refused: it may be what ends them."""


@dataclass(frozen=True, slots=True)
class TakingIn:
    """What taking in whole uploads takes."""

    intake: Intake
    slots: asyncio.Semaphore
    """Bounds the files handled by the whole process."""
    pending: int
    """Bounds the files of one upload that are on the disk."""


async def take_in(means: TakingIn, claim: ClaimedUpload) -> None:
    """Take in a claimed upload, with the outcomes that it would have had in one piece.

    What was taken in by an earlier attempt is a repeat. Where the batch was closed meanwhile, as by a cancellation,
    the rest is left.

    Raises:
        Exception: a store is away; nothing was decided about what is left.
    """
    upload, intake = claim.upload, means.intake
    caller = Scope(upload.tenant, upload.owner_id, "clinician")
    async with intake.records.transaction(caller) as tx:
        batch = await find_batch(tx, upload.batch_id)
    reception = Reception(intake, caller, batch, means.slots, pending=means.pending)
    try:
        await _receive(intake, claim, reception)
    except Conflict:
        if not await _is_closed(intake, caller, batch):
            raise


async def _receive(intake: Intake, claim: ClaimedUpload, reception: Reception) -> None:
    upload = claim.upload
    try:
        _check_attempts(claim)
        file = await _put_together(intake, upload, claim)
    except Refusal as refusal:
        # Without its bytes it has no digest, and is told from others by what it was called here.
        await reception.refuse(ReceivedFile(upload.file_name, f"upload:{upload.upload_id}"), refusal)
        return
    async with reception:
        await reception.submit(file)


def _check_attempts(claim: ClaimedUpload) -> None:
    if claim.attempts > MAX_ATTEMPTS:
        detail = f"taken up {MAX_ATTEMPTS} times, and never to an end"
        raise Refusal(RejectReason.VALIDATION_CRASHED, detail)


async def _is_closed(intake: Intake, caller: Scope, batch: Batch) -> bool:
    async with intake.records.transaction(caller) as tx:
        return not await tx.is_receiving(batch.batch_id)


async def _put_together(intake: Intake, upload: ResumableUpload, claim: ClaimedUpload) -> SpooledFile:
    """The whole file on disk, hashed on the way.

    Raises:
        Refusal: a part is lost or damaged.
    """
    path = intake.new_path()
    whole = _Whole(path)
    deidentifier = intake.deidentifiers.get(upload.tenant)
    try:
        for part in claim.parts:
            piece = intake.new_path()
            try:
                key = keys.upload_part(upload.tenant, upload.upload_id, part.first_byte, part.sha256)
                await intake.objects.get_file(key, piece)
                await asyncio.to_thread(whole.add, piece, part, deidentifier.unseal if deidentifier else None)
            except ObjectNotFound as error:
                raise _lost() from error
            finally:
                await asyncio.to_thread(piece.unlink, missing_ok=True)
        sha256 = await asyncio.to_thread(whole.finish, upload.length_bytes)
    except BaseException:
        await asyncio.to_thread(whole.discard)
        raise
    return SpooledFile(upload.file_name, path, whole.size_bytes, sha256, is_archive(whole.magic))


class _Whole:
    """A file that grows by parts; its methods use the disk: call them in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("xb")
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        self.magic = b""

    def add(self, piece: Path, part: UploadPart, unseal: Callable[[bytes], bytes] | None) -> None:
        """Add the next part, which is small enough to be in memory.

        Raises:
            Refusal: it is not what was received.
        """
        content = piece.read_bytes()
        if unseal is not None:
            content = unseal(content)
        if part.first_byte != self.size_bytes or hashlib.sha256(content).hexdigest() != part.sha256:
            raise _lost()
        self._file.write(content)
        self._digest.update(content)
        self.size_bytes += len(content)
        self.magic = (self.magic + content[:MAGIC_LENGTH])[:MAGIC_LENGTH]

    def finish(self, length_bytes: int) -> str:
        """Say that no more come; return the SHA-256 in hexadecimal.

        Raises:
            Refusal: the file is not of this length.
        """
        self._file.close()
        if self.size_bytes != length_bytes:
            raise _lost()
        return self._digest.hexdigest()

    def discard(self) -> None:
        """Remove it from the disk."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def _lost() -> Refusal:
    return Refusal(RejectReason.TRUNCATED, "a stored part of the upload is lost or damaged")


async def remove_parts(objects: ObjectStore, upload: ResumableUpload) -> None:
    """Remove all objects of an upload, also those that no row refers to."""
    async for key in objects.list_keys(keys.upload_parts(upload.tenant, upload.upload_id)):
        await objects.delete(key)
