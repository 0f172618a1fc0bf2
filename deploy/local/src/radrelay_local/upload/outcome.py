"""What became of a batch: the exit status and the JSON document."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any

from radrelay_local.client.answers import Batch, BatchFile, BatchState
from radrelay_local.upload.walking import Skipped, SkipReason


class ExitStatus(IntEnum):
    """What `radrelay upload` and `radrelay watch` end with."""

    ALL_REPORTED = 0
    ERROR = 1
    """The command was not understood, or the server cannot be reached or refuses."""
    NOT_ALL_REPORTED = 2
    """Some files were rejected, failed, or could not be read."""
    UNFINISHED = 3
    """Interrupted, or ended while files were still being processed."""


@dataclass(frozen=True, slots=True)
class Reports:
    """The reports of a batch.

    Attributes:
        by_urgency: how many of each triage urgency.
        in_earlier_batches: images that were here before have their report there.
    """

    by_urgency: dict[str, int]
    in_earlier_batches: int


@dataclass(frozen=True, slots=True)
class Shipment:
    """What `radrelay upload` sent.

    Attributes:
        files: how many files there were to send, an archive counting as one.
        sent_files: those of them that the server has answered for.
        size_bytes: the bytes of all.
        sent_bytes: bytes that were sent.
        repeated: images that were here before.
    """

    files: int
    sent_files: int
    size_bytes: int
    sent_bytes: int
    repeated: int


@dataclass(slots=True)
class Outcome:
    """A batch as it was last seen.

    Attributes:
        batch: its state and counts.
        files: what became of each file, as far as it is known.
        shipment: what this command sent; None where it only watched.
        skipped: what was found and not sent.
        reports: None where they cannot be asked for.
        error: why it ended early, None where it did not.
        interrupted: whether the user ended it.
        seconds: how long it took.
    """

    batch: Batch
    files: list[BatchFile] = field(default_factory=list)
    shipment: Shipment | None = None
    skipped: list[Skipped] = field(default_factory=list)
    reports: Reports | None = None
    error: str | None = None
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def rejected(self) -> list[BatchFile]:
        """Files that were refused."""
        return [file for file in self.files if file.status == "rejected"]

    @property
    def failed(self) -> list[BatchFile]:
        """Images that could not be screened."""
        return [file for file in self.files if file.status == "failed"]

    def exit_status(self) -> ExitStatus:
        """Return what the command ends with."""
        counts = self.batch.counts
        if self.interrupted:
            return ExitStatus.UNFINISHED
        if self.error:
            return ExitStatus.ERROR
        unreadable = any(each.reason is SkipReason.UNREADABLE for each in self.skipped)
        if counts.rejected or counts.failed or unreadable:
            return ExitStatus.NOT_ALL_REPORTED
        return ExitStatus.ALL_REPORTED if self.batch.state is BatchState.DONE else ExitStatus.UNFINISHED

    def to_json(self) -> dict[str, Any]:
        """Return the document of `--json`; `docs/intake.md` describes it."""
        batch = self.batch
        return {
            **batch.model_dump(mode="json"),
            "accepted": batch.counts.received - batch.counts.rejected,
            "repeated": self.shipment.repeated if self.shipment else None,
            "sent": asdict(self.shipment) if self.shipment else None,
            "rejected_by_reason": by_reason(self.rejected),
            "failed_by_reason": by_reason(self.failed),
            "rejected": [_told(file) for file in self.rejected],
            "failed": [_told(file) for file in self.failed],
            "skipped": [asdict(skipped) for skipped in self.skipped],
            "reports": asdict(self.reports) if self.reports else None,
            "error": self.error,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 3),
            "exit_status": int(self.exit_status()),
        }


def by_reason(files: Iterable[BatchFile]) -> dict[str, int]:
    """Count files by why they were refused or failed, the most frequent first."""
    return dict(Counter(file.reason or "unknown" for file in files).most_common())


def _told(file: BatchFile) -> dict[str, str | None]:
    return {"name": file.name, "reason": file.reason, "detail": file.detail}
