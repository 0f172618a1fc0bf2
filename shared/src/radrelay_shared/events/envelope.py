"""The CloudEvents 1.0 envelope that every Radrelay event travels in (structured JSON mode).

Source: CloudEvents specification v1.0.2, sections "Context Attributes" and "JSON Event Format".
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from radrelay_shared.events.models import (
    AuditHeadPublished,
    EventData,
    InferenceCompleted,
    InferenceFailed,
    InferenceShadowScored,
    InferenceStarted,
    InstanceCancelled,
    InstanceStored,
    ReportCreated,
)
from radrelay_shared.events.reports import ErasureRequested, ReportErased, ReportReviewed

CONTENT_TYPE = "application/cloudevents+json"
TENANT_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}$"

TenantId = Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
DataT = TypeVar("DataT", bound=EventData)

EVENT_DATA: dict[str, type[EventData]] = {
    model.event_type(): model
    for model in (
        InstanceStored,
        InstanceCancelled,
        InferenceStarted,
        InferenceCompleted,
        InferenceShadowScored,
        InferenceFailed,
        ReportCreated,
        ReportReviewed,
        ErasureRequested,
        ReportErased,
        AuditHeadPublished,
    )
}


class InvalidEvent(ValueError):
    """A payload is not a Radrelay event of a known type and version; the message names the place, never the value."""


class Event(BaseModel, Generic[DataT]):
    """One CloudEvent: context attributes, the `tenant` extension attribute, and typed data."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    source: Annotated[str, StringConstraints(pattern=r"^/radrelay/[a-z-]+$")]
    type: str
    subject: str
    time: AwareDatetime
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str
    tenant: TenantId = Field(description="Extension attribute: the tenant that owns everything in this event.")
    data: DataT

    def to_json(self) -> bytes:
        """The event as UTF-8 JSON, the payload that is published."""
        return self.model_dump_json().encode()


_EVENTS: dict[str, type[Event[Any]]] = {
    event_type: Event[model]  # type: ignore[valid-type]  # each is a type
    for event_type, model in EVENT_DATA.items()
}


def make_event(data: DataT, *, tenant: str, source: str, event_id: str | None = None) -> Event[DataT]:
    """Wrap `data` in an envelope that is dated now.

    Pass `event_id` where a repeat of the same work must give the same event; otherwise it is random.
    """
    return Event[DataT](
        id=event_id or str(uuid4()),
        source=source,
        type=data.event_type(),
        subject=str(data.subject_id()),
        time=datetime.now(UTC),
        dataschema=data.schema_uri(),
        tenant=tenant,
        data=data,
    )


def parse_event(payload: bytes) -> Event[Any]:
    """Parse a published payload; `data` becomes the model that `type` names.

    Raises:
        InvalidEvent: not JSON, an unknown type, or fields that do not fit the contract.
    """
    try:
        head = _Head.model_validate_json(payload)
    except ValidationError as error:
        raise InvalidEvent(_where(error)) from error
    event = _EVENTS.get(head.type)
    if event is None:
        raise InvalidEvent("type: unknown event type or version")
    try:
        return event.model_validate_json(payload)
    except ValidationError as error:
        raise InvalidEvent(_where(error)) from error


class _Head(BaseModel):
    type: str


def _where(error: ValidationError) -> str:
    """Places and kinds of fault, without the offending values: they may be patient data."""

    def places() -> Iterator[str]:
        for fault in error.errors(include_input=False, include_url=False, include_context=False):
            yield f"{'.'.join(str(part) for part in fault['loc']) or 'payload'}: {fault['type']}"

    return "; ".join(places())
