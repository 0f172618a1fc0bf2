"""What travels over HTTP of rejected files."""

from typing import Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from ingest_service.api.schemas import AcceptedOut, RejectedOut
from ingest_service.domain.model import Accepted, RejectedFile
from ingest_service.handlers.rejected import Resubmitted


class RejectedFileOut(BaseModel):
    """A file that was refused and is kept."""

    rejected_id: UUID
    batch_id: UUID
    owner_id: str
    name: str
    reason: str = Field(description="A stable code.")
    detail: str
    size_bytes: int
    sha256: str
    rejected_at: AwareDatetime
    kept_until: AwareDatetime = Field(description="Then it is deleted.")

    @classmethod
    def of(cls, file: RejectedFile) -> Self:
        """From the domain."""
        return cls(
            rejected_id=file.rejected_id,
            batch_id=file.batch_id,
            owner_id=file.owner_id,
            name=file.name,
            reason=file.reason,
            detail=file.detail,
            size_bytes=file.size_bytes,
            sha256=file.fingerprint,
            rejected_at=file.rejected_at,
            kept_until=file.kept_until,
        )


class RejectedFilePage(BaseModel):
    """Rejected files, newest first."""

    rejected_files: list[RejectedFileOut]
    next_cursor: str | None = Field(description="Give it as `cursor` for what follows; null at the end.")


class ResubmittedOut(BaseModel):
    """What became of a rejected file: one of `accepted` and `rejected` is not null."""

    batch_id: UUID = Field(description="The batch that it belongs to now.")
    accepted: AcceptedOut | None
    rejected: RejectedOut | None

    @classmethod
    def of(cls, resubmitted: Resubmitted) -> Self:
        """From the handler."""
        outcome = resubmitted.outcome
        if isinstance(outcome, Accepted):
            return cls(batch_id=resubmitted.batch_id, accepted=AcceptedOut.of(outcome), rejected=None)
        return cls(batch_id=resubmitted.batch_id, accepted=None, rejected=RejectedOut.of(outcome))
