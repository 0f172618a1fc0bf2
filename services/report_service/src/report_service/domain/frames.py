"""Which frame of a report's image is asked for as values."""

import hashlib
import json
from dataclasses import dataclass

from radrelay_imaging import FRAME_VERSION, LONG_SIDE_PX
from report_service.domain.report import Report


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """A frame, and how large."""

    frame: int | None = None
    """From 1; None for the one that the result is of."""
    size_px: int = LONG_SIDE_PX
    """What the long side is at most."""

    def number(self, report: Report) -> int:
        """The frame that is meant, from 1."""
        return self.frame or report.frame_number

    def digest(self, report: Report) -> str:
        """Of all that decides what the values are: 64 hexadecimal digits."""
        facts = [str(report.report_id), report.source_key, FRAME_VERSION, "frame", self.size_px, self.number(report)]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
