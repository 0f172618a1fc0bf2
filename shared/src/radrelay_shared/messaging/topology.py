"""Every stream, subject and durable consumer of the product, declared once and created by whoever starts first.

Subjects are `radrelay.v1.<tenant>.<entity>.<event>`; work lanes add the priority:
`radrelay.v1.<tenant>.instance.stored.<stat|urgent|routine>`.

Most durables are for all tenants. A lane has one for each tenant, so that tenants can take turns; these are made by
the worker that first sees the tenant.
"""

import re
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BadRequestError
from pydantic import BaseModel

from radrelay_shared.events import (
    TENANT_PATTERN,
    AuditHeadPublished,
    ErasureRequested,
    Event,
    EventData,
    InferenceCompleted,
    InferenceFailed,
    InferenceStarted,
    InstanceCancelled,
    InstanceStored,
    ReportCreated,
    ReportErased,
    ReportReviewed,
    Urgency,
)

ROOT: Final = "radrelay.v1"
_STREAM_NAME_IN_USE: Final = 10058


class StreamLimits(BaseModel):
    """How much each stream may keep; a full one refuses new messages, which wait in the outbox; but see `permanent`."""

    max_bytes: int = 1 << 30
    max_age_s: float = 14 * 24 * 3600.0
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Stream:
    """One JetStream stream and what it captures."""

    name: str
    subjects: tuple[str, ...]
    permanent: bool = False
    """Kept without limit of age, and nothing in it can be deleted. A full one drops its oldest, and never refuses."""


@dataclass(frozen=True, slots=True)
class Durable:
    """One durable pull consumer. Delivery attempts are bounded by the application, which keeps dead letters."""

    name: str
    stream: Stream
    filter_subjects: tuple[str, ...]
    ack_wait_s: float = 30.0
    max_ack_pending: int = 1000
    """What all workers together have in hand at most: one that starts when so much is in others' hands gets nothing."""
    max_attempts: int = 8
    family: str | None = None
    """What it shares with its like of other tenants; None for one that is for all tenants."""

    @property
    def label(self) -> str:
        """Its name where no tenant may show: in metrics, traces and dead letters."""
        return self.family or self.name


@dataclass(frozen=True, slots=True)
class LaneFamily:
    """The durables of one lane, one for each tenant: `<name>-<tenant>`.

    A tenant's name (see `events.TENANT_PATTERN`) is legal in the name of a durable as it is, and no name of a lane is
    the beginning of another's with a dash, so that two tenants or two lanes never share a durable.
    """

    name: str
    stream: Stream
    subject: str
    """With `*` for the tenant."""

    @property
    def label(self) -> str:
        """As of its durables."""
        return self.name

    def durable(self, tenant: str) -> Durable:
        """The durable of one tenant.

        Raises:
            ValueError: it is no name of a tenant.
        """
        if not re.fullmatch(TENANT_PATTERN, tenant):
            raise ValueError(f"{tenant!r} is no name of a tenant")
        return Durable(f"{self.name}-{tenant}", self.stream, (self.subject.replace("*", tenant, 1),), family=self.name)


INSTANCES = Stream("RADRELAY_INSTANCES", (f"{ROOT}.*.instance.>",))
INFERENCE = Stream("RADRELAY_INFERENCE", (f"{ROOT}.*.inference.*",))
REPORTS = Stream("RADRELAY_REPORTS", (f"{ROOT}.*.report.*",))
DEAD_LETTERS = Stream("RADRELAY_DEAD_LETTERS", (f"{ROOT}.*.deadletter.*",))
AUDIT_HEADS = Stream("RADRELAY_AUDIT_HEADS", (f"{ROOT}.*.audit.head_published",), permanent=True)
REPORT_AUDIT_HEADS = Stream("RADRELAY_REPORT_AUDIT_HEADS", (f"{ROOT}.*.audit.head_published.report",), permanent=True)
AUDIT_HEADS_OF: Final = {"ingest": AUDIT_HEADS, "report": REPORT_AUDIT_HEADS}
"""The published heads of each service's audit chains.

Apart, so that readers of one chain never get another's heads, and because a permanent stream's subjects cannot be
added to by its publishers, who are denied to change it.
"""
STREAMS: Final = (INSTANCES, INFERENCE, REPORTS, DEAD_LETTERS, *AUDIT_HEADS_OF.values())


def subject_of(data_type: type[EventData], *, tenant: str = "*", lane: Urgency | None = None) -> str:
    """The subject of one kind of event; `lane` only for events that travel in priority lanes."""
    subject = f"{ROOT}.{tenant}.{data_type.entity}.{data_type.event}"
    return f"{subject}.{lane}" if lane else subject


def subject_for(event: Event[Any]) -> str:
    """The subject that this very event is published to."""
    if isinstance(event.data, InstanceCancelled):
        return cancelled_subject(event.tenant, event.data.instance_id)
    if isinstance(event.data, AuditHeadPublished):
        return audit_heads_subject(event.tenant, event.data.service)
    lane = event.data.priority if isinstance(event.data, InstanceStored) else None
    return subject_of(type(event.data), tenant=event.tenant, lane=lane)


def cancelled_subject(tenant: str, instance_id: UUID) -> str:
    """Where it is said that an image is not to be screened: a subject of its own, so that it can be looked up."""
    return f"{subject_of(InstanceCancelled, tenant=tenant)}.{instance_id}"


def audit_heads_subject(tenant: str, service: str) -> str:
    """Where the heads of one service's audit chain of a tenant are published.

    Raises:
        KeyError: the service has no audit chains.
    """
    (subject,) = AUDIT_HEADS_OF[service].subjects
    return subject.replace("*", tenant, 1)


def dead_letter_subject(tenant: str, durable: Durable) -> str:
    """Where `durable` leaves what it cannot handle."""
    return f"{ROOT}.{tenant}.deadletter.{durable.label}"


def tenant_in(subject: str) -> str:
    """The tenant token of a subject."""
    return subject.split(".")[2]


INFERENCE_LANES: Final = tuple(
    LaneFamily(f"inference-{lane}", INSTANCES, subject_of(InstanceStored, lane=lane)) for lane in Urgency
)
"""Most urgent first."""
REPORT_RESULTS = Durable("report-results", INFERENCE, (subject_of(InferenceCompleted),), max_ack_pending=15_000)
INGEST_REPORTS = Durable("ingest-reports", REPORTS, (subject_of(ReportCreated),))
INGEST_ERASURES = Durable("ingest-erasures", REPORTS, (subject_of(ErasureRequested), subject_of(ReportErased)))
INGEST_INFERENCE = Durable("ingest-inference", INFERENCE, (subject_of(InferenceStarted), subject_of(InferenceFailed)))
INGEST_DEAD_LETTERS = Durable("ingest-dead-letters", DEAD_LETTERS, DEAD_LETTERS.subjects)
DASHBOARD_REPORTS = Durable(
    "dashboard-reports", REPORTS, (subject_of(ReportCreated), subject_of(ReportReviewed), subject_of(ReportErased))
)
DASHBOARD_FAILURES = Durable("dashboard-failures", INFERENCE, (subject_of(InferenceFailed),))
DURABLES: Final = (
    REPORT_RESULTS,
    INGEST_REPORTS,
    INGEST_ERASURES,
    INGEST_INFERENCE,
    INGEST_DEAD_LETTERS,
    DASHBOARD_REPORTS,
    DASHBOARD_FAILURES,
)


async def ensure_topology(js: JetStreamContext, limits: StreamLimits) -> None:
    """Create or update every stream and every durable in `DURABLES`; safe to run from many processes at once.

    Raises:
        nats.js.errors.APIError: the server refuses a configuration.
    """
    for stream in STREAMS:
        config = StreamConfig(
            name=stream.name,
            subjects=list(stream.subjects),
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD if stream.permanent else DiscardPolicy.NEW,
            max_bytes=limits.max_bytes,
            max_age=None if stream.permanent else limits.max_age_s,
            deny_delete=stream.permanent,
            deny_purge=stream.permanent,
            num_replicas=limits.replicas,
            allow_direct=True,
        )
        try:
            await js.add_stream(config)
        except BadRequestError as error:
            if error.err_code != _STREAM_NAME_IN_USE:
                raise
            await js.update_stream(config)
    for durable in DURABLES:
        await ensure_durable(js, durable)


async def ensure_durable(js: JetStreamContext, durable: Durable) -> None:
    """Create or update one durable; safe to run from many processes at once.

    Raises:
        nats.js.errors.APIError: the server refuses its configuration.
        nats.errors.Error: the server does not answer.
    """
    await js.add_consumer(
        durable.stream.name,
        ConsumerConfig(
            # A name makes nats-py use the subject that permissions can be scoped to.
            name=durable.name,
            durable_name=durable.name,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=durable.ack_wait_s,
            max_deliver=-1,
            max_ack_pending=durable.max_ack_pending,
            filter_subjects=list(durable.filter_subjects),
        ),
    )
