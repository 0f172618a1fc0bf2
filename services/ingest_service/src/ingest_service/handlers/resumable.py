"""A file that arrives in pieces: begun, continued where it stands, ended. `handlers.taking_in` has what follows."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final
from uuid import UUID, uuid4

from ingest_service.domain.model import Upload
from ingest_service.domain.resumable import InvalidMetadata, ResumableUpload, UploadPart, parse_metadata
from ingest_service.handlers.batches import own_batch
from ingest_service.handlers.quota import check_length_fits
from ingest_service.handlers.storing import put
from ingest_service.ports import Deidentifier
from ingest_service.upload_ports import Resumption
from radrelay_shared.database import Scope
from radrelay_shared.http import BadRequest, Conflict, NotFound, PayloadTooLarge, Problem, TooManyRequests
from radrelay_shared.objects import keys

PART_MEDIA_TYPE: Final = "application/octet-stream"
_RETRY_AFTER_S: Final = 60


class Gone(Problem):
    """It was there, and is no more."""

    status = 410


async def begin_upload(
    resumption: Resumption, caller: Scope, batch_id: UUID, length_bytes: int, metadata: str
) -> ResumableUpload:
    """Make room for a file of the caller's batch. What cannot fit is refused before any byte of it is sent.

    Raises:
        NotFound, Forbidden: see `own_batch`.
        Conflict: the batch is closed.
        BadRequest: the metadata is malformed.
        PayloadTooLarge: longer than a file may be.
        TooManyRequests: the quota is used up, or the caller has begun too many.
    """
    intake, limits = resumption.intake, resumption.limits
    batch = await own_batch(intake.records, caller, batch_id)
    if length_bytes > limits.max_length_bytes:
        raise PayloadTooLarge(code="upload_too_large", detail=f"A file has at most {limits.max_length_bytes} bytes.")
    try:
        parse_metadata(metadata)
    except InvalidMetadata as error:
        raise BadRequest(code="invalid_upload_metadata", detail=f"Upload-Metadata: {error}.") from error
    now = datetime.now(UTC)
    pending = await resumption.uploads.open_of(caller, now)
    if pending.number >= limits.max_open:
        raise TooManyRequests(
            code="too_many_uploads",
            detail=f"At most {limits.max_open} uploads of one user may be unfinished; finish or terminate some.",
            headers={"Retry-After": str(_RETRY_AFTER_S)},
        )
    await check_length_fits(intake, caller, pending.length_bytes + length_bytes)
    upload = ResumableUpload(
        tenant=caller.tenant,
        upload_id=uuid4(),
        owner_id=caller.owner_id,
        batch_id=batch.batch_id,
        # A file name may be that of a patient.
        metadata=None if caller.tenant in intake.deidentifiers else metadata or None,
        length_bytes=length_bytes,
        offset_bytes=0,
        parts=0,
        expires_at=now + timedelta(seconds=limits.retention_s),
    )
    if not await resumption.uploads.add(caller, upload, now):
        raise Conflict(code="batch_closed", detail="The batch is closed; open another one.")
    return upload


async def find_upload(resumption: Resumption, caller: Scope, upload_id: UUID) -> ResumableUpload:
    """An upload of the caller's own.

    Raises:
        NotFound: there is none.
        Gone: it expired, or was terminated.
    """
    upload = await resumption.uploads.find(caller, upload_id)
    if upload is None:
        raise NotFound(code="upload_not_found", detail="There is no such upload.")
    if upload.is_gone(datetime.now(UTC)):
        raise Gone(code="upload_expired", detail="The upload has expired or was terminated; begin another one.")
    return upload


async def continue_upload(
    resumption: Resumption, caller: Scope, upload: ResumableUpload, chunks: AsyncIterator[bytes]
) -> ResumableUpload:
    """Store bytes that follow what is there, part by part, and return the upload after them.

    Where the bytes break off, what came is kept: also when this raises what `chunks` raises.

    Raises:
        PayloadTooLarge: more bytes than were announced, or too many parts.
        Conflict: somebody else's bytes came first, or the batch was closed.
    """
    limits = resumption.limits
    part: _Part | None = None
    try:
        async for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                check_room(resumption, upload, (part.size_bytes if part else 0) + len(rest))
                part = part or _Part(resumption.intake.new_path())
                taken = rest[: limits.part_bytes - part.size_bytes]
                await asyncio.to_thread(part.write, taken)
                rest = rest[len(taken) :]
                if part.size_bytes == limits.part_bytes:
                    whole, part = part, None
                    upload = await _store(resumption, caller, upload, whole)
    finally:
        if part is not None:
            upload = await _store(resumption, caller, upload, part)
    return upload


def check_room(resumption: Resumption, upload: ResumableUpload, size_bytes: int) -> None:
    """Refuse bytes that are not of the upload any more.

    Raises:
        PayloadTooLarge: more bytes than were announced, or too many parts.
    """
    if upload.offset_bytes + size_bytes > upload.length_bytes:
        raise PayloadTooLarge(
            code="upload_too_long", detail=f"The upload was announced with {upload.length_bytes} bytes."
        )
    if upload.parts >= resumption.limits.max_parts and size_bytes:
        raise PayloadTooLarge(
            code="too_many_parts", detail=f"An upload comes in at most {resumption.limits.max_parts} parts; begin anew."
        )


def offset_conflict(offset_bytes: int) -> Conflict:
    """What is said to whoever sends bytes that do not follow what is there."""
    return Conflict(
        code="upload_offset_mismatch",
        detail="The bytes do not follow what is there; ask where the upload stands.",
        headers={"Upload-Offset": str(offset_bytes)},
    )


class _Part:
    """Bytes on their way to an object; its methods use the disk: call them in a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._digest = hashlib.sha256()
        self._file: IO[bytes] = path.open("xb")

    def write(self, chunk: memoryview) -> None:
        """Add bytes."""
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size_bytes += len(chunk)

    def finish(self) -> str:
        """Say that no more come; return the SHA-256 in hexadecimal."""
        self._file.close()
        return self._digest.hexdigest()

    def discard(self) -> None:
        """Remove it from the disk."""
        self._file.close()
        self.path.unlink(missing_ok=True)


async def _store(resumption: Resumption, caller: Scope, upload: ResumableUpload, part: _Part) -> ResumableUpload:
    """Put a part's object, then record it.

    Raises:
        Conflict: the upload stands elsewhere meanwhile; the object is removed with the others of the upload.
    """
    intake = resumption.intake
    try:
        sha256 = await asyncio.to_thread(part.finish)
        stored = UploadPart(upload.offset_bytes, part.size_bytes, sha256)
        key = keys.upload_part(upload.tenant, upload.upload_id, stored.first_byte, sha256)
        content = Upload(key, part.path, part.size_bytes, sha256, PART_MEDIA_TYPE)
        if deidentifier := intake.deidentifiers.get(upload.tenant):
            content = await asyncio.to_thread(_seal, deidentifier, content)
        await put(intake.objects, content, intake.store_timeout_s)
        now = datetime.now(UTC)
        expires_at = now + timedelta(seconds=resumption.limits.retention_s)
        moved = await resumption.uploads.append(caller, upload, stored, now, expires_at)
    finally:
        await asyncio.to_thread(part.discard)
    if moved is None:
        raise offset_conflict((await find_upload(resumption, caller, upload.upload_id)).offset_bytes)
    return moved


def _seal(deidentifier: Deidentifier, content: Upload) -> Upload:
    """What may name a patient is stored encrypted, until it is de-identified: the same in its place, sealed."""
    sealed = deidentifier.seal(content.path.read_bytes())
    content.path.write_bytes(sealed)
    return replace(content, size_bytes=len(sealed), sha256=hashlib.sha256(sealed).hexdigest())


async def terminate_upload(resumption: Resumption, caller: Scope, upload_id: UUID) -> None:
    """End an upload and let go of what came of it; the sweeper removes it.

    Raises:
        NotFound, Gone: see `find_upload`.
    """
    await find_upload(resumption, caller, upload_id)
    await resumption.uploads.terminate(caller, upload_id, datetime.now(UTC))
