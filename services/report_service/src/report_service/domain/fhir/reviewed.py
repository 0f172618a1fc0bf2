"""What a review makes of a report's status, in FHIR's words."""

from dataclasses import dataclass
from typing import Final

from radrelay_shared.events import Verdict
from report_service.domain.review import Review

SETTLING: Final = frozenset({Verdict.AGREE, Verdict.DISAGREE})
"""Verdicts by which a clinician answers for what the report says with them."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The review that stands."""

    review: Review
    was_settled: bool
    """Whether a version before it was one of `SETTLING`."""


def report_status(reviewed: Reviewed | None) -> str:
    """Of the DiagnosticReport (R4, code system `diagnostic-report-status`).

    `partial` is what may be unverified; `preliminary` would say that somebody verified it, `final` that somebody who
    may did, and `amended` that what was final was changed.
    """
    if reviewed is None:
        return "partial"
    if reviewed.was_settled:
        return "amended"
    return "final" if reviewed.review.judgement.verdict in SETTLING else "partial"


def finding_status(reviewed: Reviewed | None) -> str:
    """Of what the model says (R4, code system `observation-status`): unverified while no clinician agrees with it."""
    return "final" if reviewed and reviewed.review.judgement.verdict is Verdict.AGREE else "preliminary"


def review_status(review: Review) -> str:
    """Of what the clinician says: complete, and changed where it is not the first version."""
    return "final" if review.version == 1 else "amended"
