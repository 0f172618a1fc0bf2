"""What travels over HTTP."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Self, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from ingest_service.domain.lifecycle import MAY_PASS, BatchState, Counts, FileStatus
from ingest_service.domain.model import Accepted, BatchProgress, FileView, Rejected
from ingest_service.domain.reasons import RejectReason
from ingest_service.handlers.retrying import Retried
from radrelay_shared.events import Urgency
from radrelay_shared.http import BadRequest

FirstT = TypeVar("FirstT")
SecondT = TypeVar("SecondT")
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class NewBatch(BaseModel):
    """What a client says of a batch it opens."""

    model_config = ConfigDict(extra="forbid")

    priority: Urgency = Urgency.ROUTINE
    label: Label | None = None


class CountsOut(BaseModel):
    """How many files of a batch stand where; `received` is their sum."""

    received: int
    queued: int
    processing: int
    reported: int
    failed: int
    cancelled: int
    rejected: int

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """From the domain."""
        return cls(
            received=counts.received,
            queued=counts.queued,
            processing=counts.processing,
            reported=counts.reported,
            failed=counts.failed,
            cancelled=counts.cancelled,
            rejected=counts.rejected,
        )


class BatchOut(BaseModel):
    """A batch and where it stands."""

    batch_id: UUID
    label: str | None
    priority: Urgency
    state: BatchState
    created_at: AwareDatetime
    closed_at: AwareDatetime | None
    counts: CountsOut

    @classmethod
    def of(cls, progress: BatchProgress) -> Self:
        """From the domain."""
        batch = progress.batch
        return cls(
            batch_id=batch.batch_id,
            label=batch.label,
            priority=batch.priority,
            state=progress.state,
            created_at=batch.created_at,
            closed_at=batch.closed_at,
            counts=CountsOut.of(progress.counts),
        )


class RetryOut(BaseModel):
    """What a retry did, and the batch after it."""

    retried: int = Field(description=f"Images sent again. Reasons that may pass: {', '.join(sorted(MAY_PASS))}.")
    batch: BatchOut

    @classmethod
    def of(cls, retried: Retried) -> Self:
        """From the handler."""
        return cls(retried=retried.images, batch=BatchOut.of(retried.progress))


class BatchPage(BaseModel):
    """Batches, newest first."""

    batches: list[BatchOut]
    next_cursor: str | None = Field(description="Give it as `cursor` for what follows; null at the end.")


class FileOut(BaseModel):
    """A file of a batch."""

    name: str
    status: FileStatus
    reason: str | None = Field(description="Why it was rejected or failed: a stable code.")
    detail: str | None
    instance_id: UUID | None
    report_id: UUID | None
    received_at: AwareDatetime

    @classmethod
    def of(cls, view: FileView) -> Self:
        """From the domain."""
        return cls(
            name=view.name,
            status=view.status,
            reason=view.reason,
            detail=view.detail,
            instance_id=view.instance_id,
            report_id=view.report_id,
            received_at=view.received_at,
        )


class FilePage(BaseModel):
    """Files of a batch, by name."""

    files: list[FileOut]
    next_cursor: str | None = Field(description="Give it as `cursor` for what follows; null at the end.")


class AcceptedOut(BaseModel):
    """A file that is safely stored."""

    name: str
    instance_id: UUID
    sop_instance_uid: str
    repeated: bool = Field(description="The same bytes were received before; they share one image and one report.")

    @classmethod
    def of(cls, accepted: Accepted) -> Self:
        """From the domain."""
        return cls(
            name=accepted.name,
            instance_id=accepted.instance_id,
            sop_instance_uid=accepted.sop.instance_uid,
            repeated=accepted.repeated,
        )


class RejectedOut(BaseModel):
    """A file that was refused."""

    name: str
    reason: RejectReason = Field(description=" ".join(f"`{each.value}`: {each.sentence}" for each in RejectReason))
    detail: str

    @classmethod
    def of(cls, rejected: Rejected) -> Self:
        """From the domain."""
        return cls(name=rejected.name, reason=rejected.reason, detail=rejected.detail)


class UploadOut(BaseModel):
    """What became of the files of one request, an archive counting as the files in it."""

    accepted: list[AcceptedOut]
    rejected: list[RejectedOut]


def encode_cursor(first: str, second: str) -> str:
    """An opaque cursor for a position in a list."""
    return base64.urlsafe_b64encode(json.dumps([first, second]).encode()).decode()


def decode_cursor(
    cursor: str | None, parse_first: Callable[[str], FirstT], parse_second: Callable[[str], SecondT]
) -> tuple[FirstT, SecondT] | None:
    """The position that a cursor stands for; None for the start.

    Raises:
        BadRequest: it is not one of ours.
    """
    if cursor is None:
        return None
    try:
        first, second = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return parse_first(first), parse_second(second)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BadRequest(code="invalid_cursor", detail="The cursor is not one that was given out here.") from error


def aware_time(text: str) -> datetime:
    """A time with its zone, for a cursor.

    Raises:
        ValueError: it is none.
        OverflowError: it is one that UTC, and so the database, has no year for.
    """
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        raise ValueError("no time zone")
    return parsed.astimezone(UTC)


def storable_text(text: str) -> str:
    """Text that PostgreSQL can hold, for a cursor.

    Raises:
        ValueError: it holds NUL or half a character.
    """
    if "\0" in text:
        raise ValueError("NUL")
    return text.encode().decode()
