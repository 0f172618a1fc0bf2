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
    REJECTED = "rejected"


class BatchState(StrEnum):
    """Where a batch stands as a whole."""

    RECEIVING = "receiving"
    PROCESSING = "processing"
    DONE = "done"


DEADLINE_EXCEEDED: Final = "deadline_exceeded"
"""Failure reason of an image that got neither a result nor a failure in time."""

ALLOWED_FROM: Final[dict[FileStatus, frozenset[FileStatus]]] = {
    # A late start never downgrades.
    FileStatus.PROCESSING: frozenset({FileStatus.QUEUED}),
    FileStatus.FAILED: frozenset({FileStatus.QUEUED, FileStatus.PROCESSING}),
    # A report wins over everything: also over a failure that was declared too early.
    FileStatus.REPORTED: frozenset({FileStatus.QUEUED, FileStatus.PROCESSING, FileStatus.FAILED}),
}

UNFINISHED: Final = frozenset({FileStatus.QUEUED, FileStatus.PROCESSING})


@dataclass(frozen=True, slots=True)
class Counts:
    """How many files of a batch stand where."""

    queued: int = 0
    processing: int = 0
    reported: int = 0
    failed: int = 0
    rejected: int = 0

    @property
    def received(self) -> int:
        """All files, refused ones too."""
        return self.queued + self.processing + self.reported + self.failed + self.rejected


def batch_state(closed_at: datetime | None, counts: Counts) -> BatchState:
    """A batch receives until it is closed, and is done when it is closed and every file has an end."""
    if closed_at is None:
        return BatchState.RECEIVING
    return BatchState.PROCESSING if counts.queued or counts.processing else BatchState.DONE
