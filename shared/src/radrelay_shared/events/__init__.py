"""Event contracts: the envelope, the data of each event, and how to make and parse them."""

from radrelay_shared.events.envelope import (
    CONTENT_TYPE,
    EVENT_DATA,
    TENANT_PATTERN,
    Event,
    InvalidEvent,
    TenantId,
    make_event,
    parse_event,
)
from radrelay_shared.events.models import (
    EventData,
    InferenceCompleted,
    InferenceFailed,
    InferenceShadowScored,
    InferenceStarted,
    InstanceStored,
    ModelRef,
    Provenance,
    ReportCreated,
    Urgency,
)

__all__ = [
    "CONTENT_TYPE",
    "EVENT_DATA",
    "TENANT_PATTERN",
    "Event",
    "EventData",
    "InferenceCompleted",
    "InferenceFailed",
    "InferenceShadowScored",
    "InferenceStarted",
    "InstanceStored",
    "InvalidEvent",
    "ModelRef",
    "Provenance",
    "ReportCreated",
    "TenantId",
    "Urgency",
    "make_event",
    "parse_event",
]
