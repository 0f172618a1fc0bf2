"""What the API answers."""

from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from dashboard_service.domain.summary import SummaryScope
from radrelay_shared.events import Urgency


class DayView(BaseModel):
    """The cases received on one day."""

    model_config = ConfigDict(from_attributes=True)

    day: date = Field(description="In UTC.")
    cases: int
    positive: int


class ModelView(BaseModel):
    """The cases that one model read."""

    model_config = ConfigDict(from_attributes=True)

    digest: str
    label: str = Field(description="What the weights are, such as 'untrained': show it with the figures.")
    cases: int


class SummaryView(BaseModel):
    """All cases of the scope."""

    model_config = ConfigDict(from_attributes=True)

    scope: SummaryScope
    total_cases: int
    positive_cases: int
    positivity_rate: float | None = Field(description="Share of positive cases, 0 to 1; null where there is no case.")
    average_confidence: float | None = Field(description="Mean confidence, 0 to 1; null where there is no case.")
    failed_cases: int = Field(description="Images that got no result; not among the cases.")
    by_urgency: dict[Urgency, int]
    by_day: list[DayView] = Field(description="Days with cases only, in order.")
    by_model: list[ModelView]
