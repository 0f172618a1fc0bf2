"""The states of a file and of a batch, and which change may follow which.

Events arrive late, twice and out of order: a change that is not allowed from the present state is simply not made.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class FileStatus(StrEnum):
    """Where one file of a batch stands."""

    QUEUED = "queued"
    PROCESSING = "processing"
    REPORTED = "reported"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


class BatchState(StrEnum):
    """Where a batch stands as a whole."""

    RECEIVING = "receiving"
    PROCESSING = "processing"
    DONE = "done"


DEADLINE_EXCEEDED: Final = "deadline_exceeded"
"""Failure reason of an image that got neither a result nor a failure in time."""

OBJECT_LOST: Final = "object_lost"
"""Failure reason of an image whose object the reconciler found gone, or changed. It ends by sending the same bytes
again."""

WAITS_FOR_OBJECT: Final = frozenset({OBJECT_LOST, "object_missing"})
"""Failure reasons that are over when the object is there again."""

MAY_PASS: Final = frozenset(
    {
        DEADLINE_EXCEEDED,
        "retries_exhausted",
        "dead_letter",
        "object_missing",
        "decoder_crashed",
        "decoder_timeout",
        "outside_intended_use",
    }
)
"""Failure reasons that come from outside of the image: another attempt may end otherwise. The first three are of the
machinery; a lost object may be restored, a decoder have starved, and another model be served."""

ALLOWED_FROM: Final[dict[FileStatus, frozenset[FileStatus]]] = {
    # By a retry only, which begins another submission. What is said of a former submission changes nothing, but for
    # its report.
    FileStatus.QUEUED: frozenset({FileStatus.FAILED, FileStatus.CANCELLED}),
    # A late start never downgrades.
    FileStatus.PROCESSING: frozenset({FileStatus.QUEUED}),
    FileStatus.FAILED: frozenset({FileStatus.QUEUED, FileStatus.PROCESSING}),
    FileStatus.CANCELLED: frozenset({FileStatus.QUEUED}),
    # A report wins over everything: also over a failure that was declared too early, and over a cancellation that
    # the worker did not hear of in time.
    FileStatus.REPORTED: frozenset({FileStatus.QUEUED, FileStatus.PROCESSING, FileStatus.FAILED, FileStatus.CANCELLED}),
}

UNFINISHED: Final = frozenset({FileStatus.QUEUED, FileStatus.PROCESSING})


@dataclass(frozen=True, slots=True)
class Counts:
    """How many files of a batch stand where."""

    queued: int = 0
    processing: int = 0
    reported: int = 0
    failed: int = 0
    cancelled: int = 0
    rejected: int = 0

    @property
    def received(self) -> int:
        """All files, refused ones too."""
        return sum((self.queued, self.processing, self.reported, self.failed, self.cancelled, self.rejected))


def batch_state(closed_at: datetime | None, counts: Counts) -> BatchState:
    """A batch receives until it is closed, and is done when it is closed and every file has an end."""
    if closed_at is None:
        return BatchState.RECEIVING
    return BatchState.PROCESSING if counts.queued or counts.processing else BatchState.DONE
