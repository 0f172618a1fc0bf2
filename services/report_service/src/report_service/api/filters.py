"""The filters of the worklist as clients give them: in the query, or in a body where one of them names a patient."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
)

from radrelay_shared.events import Urgency
from radrelay_shared.events.models import DicomUid, Digest
from report_service.domain.patients import MAX_PATIENT_ID
from report_service.domain.report import ReviewState

MAX_PAGE = 200
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)
_STORABLE = r"^[^\x00]+$"  # PostgreSQL text cannot hold U+0000


def _in_utc(moment: datetime) -> datetime:
    """The moment in UTC; one that UTC has no name for is the nearest that it has."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return _FIRST if moment.year == 1 else _LAST


def _dated(value: object) -> object:
    """Only dates as RFC 3339 writes them: pydantic would also take a number for a moment."""
    if isinstance(value, str) and not re.match(r"\d{4}-\d{2}-\d{2}[Tt ]", value):
        raise ValueError("not a moment as RFC 3339 writes it")
    if isinstance(value, (int, float)):
        raise ValueError("a number is not a moment")  # noqa: TRY004  # pydantic makes a refusal of this one only
    return value


def _numeric(value: object) -> object:
    """A number of JSON: pydantic would also take text, or a truth value, for one."""
    if isinstance(value, (str, bool)):
        raise ValueError("not a number")  # noqa: TRY004  # as above
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_dated), AfterValidator(_in_utc)]
PatientId = Annotated[
    str,
    StringConstraints(pattern=_STORABLE, max_length=MAX_PATIENT_ID),
    Field(description="Patient ID (0010,0020) as it is in the images."),
]


class WorklistFilters(BaseModel):
    """Which reports are asked for; those that are left out let everything through."""

    model_config = ConfigDict(extra="forbid")

    batch_id: UUID | None = None
    urgency: Urgency | None = None
    review_state: ReviewState | None = None
    finding: Annotated[str, StringConstraints(pattern=_STORABLE, max_length=255)] | None = None
    positive: bool | None = None
    modality: Annotated[str, StringConstraints(pattern=_STORABLE, max_length=16)] | None = None
    model_digest: Digest | None = None
    study_instance_uid: DicomUid | None = None
    series_instance_uid: DicomUid | None = None
    received_from: Moment | None = Field(default=None, description="Images received then or later.")
    received_before: Moment | None = Field(default=None, description="Images received before.")

    def asked(self) -> dict[str, Any]:
        """The arguments of `Filters`, but for the patient."""
        return {name: getattr(self, name) for name in WorklistFilters.model_fields}


class PageFilters(WorklistFilters):
    """Which reports are asked for, and how many of them."""

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    cursor: Annotated[str, StringConstraints(max_length=512)] | None = None


class PatientFilter(WorklistFilters):
    """The same in a body, where numbers and truth values are not text; and of whom."""

    positive: StrictBool | None = None
    patient_id: PatientId | None = None


class PatientPageFilter(PageFilters):
    """The same in a body, and of whom."""

    positive: StrictBool | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE), BeforeValidator(_numeric)] = 50
    patient_id: PatientId | None = None


class PatientHistoryQuery(BaseModel):
    """Whose history is asked for."""

    model_config = ConfigDict(extra="forbid")

    patient_id: PatientId
