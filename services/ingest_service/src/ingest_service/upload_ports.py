"""What the handlers of resumable uploads need of the world outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from ingest_service.domain.resumable import ClaimedUpload, OpenUploads, ResumableLimits, ResumableUpload, UploadPart
from ingest_service.ports import Intake
from radrelay_shared.database import Scope


class Uploads(Protocol):
    """Resumable uploads, each caller's own; each call is a transaction."""

    async def add(self, caller: Scope, upload: ResumableUpload, now: datetime) -> bool:
        """Record a new upload; False where its batch is closed."""

    async def find(self, caller: Scope, upload_id: UUID) -> ResumableUpload | None:
        """An upload of the caller's own."""

    async def open_of(self, caller: Scope, now: datetime) -> OpenUploads:
        """What the caller has begun and not finished."""

    async def append(
        self, caller: Scope, upload: ResumableUpload, part: UploadPart, now: datetime, expires_at: datetime
    ) -> ResumableUpload | None:
        """Record a part that follows what is there, and return the upload after it.

        None where another part took this place, or the upload is over: then nothing changes.

        Raises:
            Conflict: the batch was closed.
        """

    async def terminate(self, caller: Scope, upload_id: UUID, now: datetime) -> None:
        """End an upload, whatever came of it; an earlier end stays."""


class UploadQueue(Protocol):
    """What the worker sees of uploads, across tenants; each call is a transaction."""

    async def claim(self, now: datetime, until: datetime) -> ClaimedUpload | None:
        """A complete upload that nobody takes in now, the oldest; nobody else gets it until the given time."""

    async def renew(self, claim: ClaimedUpload, until: datetime) -> bool:
        """Keep it longer; False where somebody else has it meanwhile, or it has ended."""

    async def release(self, claim: ClaimedUpload) -> None:
        """Give it back, as if it had not been claimed."""

    async def end(self, claim: ClaimedUpload, now: datetime) -> bool:
        """Say that it was taken in; False where somebody else has it meanwhile, or it has ended."""

    async def expired(self, before: datetime, limit: int) -> Sequence[ResumableUpload]:
        """Uploads that expired before the given time; those that wait to be taken in are not among them."""

    async def forget(self, upload: ResumableUpload) -> None:
        """Remove what is recorded of an upload, after its objects."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """What receiving a file in pieces takes."""

    intake: Intake
    uploads: Uploads
    limits: ResumableLimits
