"""What happens to a report after it was made: it is reviewed, and in the end erased.

No note travels in an event. A DICOM identifier does only where an erasure is asked for, which is of what came under it.
"""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from radrelay_shared.events.models import DicomUid, EventData, ModelRef, OwnerId, Probability, ReasonCode, Urgency

ReviewLabel = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    Field(description="What the reviewer sees, in terms of `finding`: such as `finding_present`, `finding_absent`."),
]
ReviewVersion = Annotated[int, Field(ge=1, description="1 for the first review of the report, without gaps.")]


class Verdict(StrEnum):
    """What a clinician says of a report's statement."""

    AGREE = "agree"
    DISAGREE = "disagree"
    UNSURE = "unsure"


class ReportEvent(EventData):
    """Identifies one report and says what it is counted by, as `report.created` said it."""

    entity = "report"

    report_id: UUID
    instance_id: UUID
    batch_id: UUID
    owner_id: OwnerId = Field(description="The `sub` of the person who uploaded the image.")
    modality: Annotated[str, StringConstraints(min_length=1, max_length=16)]
    model: ModelRef
    finding: str
    positive: bool
    probability: Probability
    confidence: Probability
    urgency: Urgency
    received_at: AwareDatetime
    completed_at: AwareDatetime
    created_at: AwareDatetime

    def subject_id(self) -> UUID:
        """The report."""
        return self.report_id


class ReportReviewed(ReportEvent):
    """A clinician said what they think of a report; it takes the place of the review before it."""

    event = "reviewed"

    review_version: ReviewVersion
    verdict: Verdict
    label: ReviewLabel
    reviewer: OwnerId = Field(description="The reviewer's `sub`.")
    reviewed_at: AwareDatetime
    previous_verdict: Verdict | None = Field(description="Of the version before this one; null for the first.")


class LastReview(BaseModel):
    """The review that stood when a report was erased."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: ReviewVersion
    verdict: Verdict
    label: ReviewLabel
    reviewer: OwnerId
    reviewed_at: AwareDatetime


class ReportErased(ReportEvent):
    """A report is gone for good, and all that was kept of its image with it.

    What it was counted by is said once more, so that a reader who kept only totals can take it out of them.
    """

    event = "erased"

    last_review: LastReview | None = Field(description="Null where nobody had reviewed it.")
    reason: ReasonCode = Field(description="Why, such as `retention`.")
    erased_at: AwareDatetime


class ErasureRequested(EventData):
    """All images of a study, or one image, are to be erased, also those that never came to a report.

    It holds for what was received before it was requested. Exactly one of the two says what.
    """

    entity = "report"
    event = "erasure_requested"

    erasure_id: UUID
    study_instance_uid: DicomUid | None
    instance_id: UUID | None
    requested_at: AwareDatetime

    def subject_id(self) -> UUID:
        """The erasure."""
        return self.erasure_id
