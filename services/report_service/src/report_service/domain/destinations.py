"""Destinations: places that a tenant's results are sent to, and what becomes of each event on its way there."""

import random
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic import AwareDatetime

from radrelay_shared.events import EventData

MOST_A_TENANT: Final = 50
GIVEN_UP_AFTER: Final = timedelta(days=3)
"""For so long an event is tried, and again for so long where somebody wants it sent once more."""
_LONGEST_PAUSE: Final = timedelta(hours=1)
_LONGEST_REST: Final = timedelta(minutes=5)
_LONGEST_ASKED_FOR: Final = timedelta(days=1)
_MOST_DOUBLINGS: Final = 20


class Kind(StrEnum):
    """How a destination takes what it is sent."""

    WEBHOOK = "webhook"
    """CloudEvents over HTTP, signed; see `domain.webhooks`."""


class Topic(StrEnum):
    """What a destination may be told of: entity and event of what is published."""

    CREATED = "report.created"
    REVIEWED = "report.reviewed"
    ERASED = "report.erased"


class PauseReason(StrEnum):
    """Why nothing is sent to a destination."""

    ADMINISTRATOR = "administrator"
    GONE = "gone"
    """It said that it is there no more."""


class DeliveryState(StrEnum):
    """How an event stands on its way to a destination."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A place of a tenant's."""

    tenant: str
    destination_id: UUID
    kind: Kind
    name: str
    url: str = field(repr=False)
    topics: tuple[Topic, ...]
    secret_sealed: bytes = field(repr=False)
    version: int
    """1 at first, and one more with each change by somebody or by a pause."""
    paused: PauseReason | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    failures: int = 0
    """Attempts since the last one that succeeded."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A destination, and how deliveries to it go."""

    destination: Destination
    pending: int
    failed: int
    last_delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one destination; never what is in it."""

    destination_id: UUID
    event_id: str
    event_type: str
    state: DeliveryState
    attempts: int
    last_status: int | None
    """Of the last answer; None where there was none."""
    last_reason: str | None
    """Why the last attempt got no good answer; None where it did, or none was made."""
    created_at: datetime
    due_at: datetime
    """When it is tried next, while it is pending."""
    settled_at: datetime | None


class DeliveryOutcome(StrEnum):
    """What an attempt to deliver led to."""

    DELIVERED = "delivered"
    RETRIED = "retried"
    """It is tried again later."""
    PAUSED = "paused"
    """The destination said that it is gone."""
    GIVEN_UP = "given_up"


class DestinationTested(EventData):
    """Somebody wants to see whether a destination takes what it is sent. Sent there, and never published."""

    entity = "destination"
    event = "tested"

    destination_id: UUID
    requested_at: AwareDatetime

    def subject_id(self) -> UUID:
        """The destination."""
        return self.destination_id


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one attempt to deliver came to: a status, or the reason why there is none."""

    status: int | None
    reason: str | None = None
    retry_after: timedelta | None = None
    """What the answer asked for."""

    @property
    def succeeded(self) -> bool:
        """Whether the destination has it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the destination asks for nothing more."""
        return self.status == 410


@dataclass(frozen=True, slots=True)
class Patience:
    """With what pauses it is tried."""

    first_pause: timedelta

    def pause_after(self, attempts: int, asked_for: timedelta | None) -> timedelta:
        """Until a delivery is tried again that was tried so often: doubled each time, with jitter on its upper half."""
        return _at_least(asked_for, min(_LONGEST_PAUSE, self._doubled(attempts)))

    def rest_after(self, failures: int, asked_for: timedelta | None) -> timedelta:
        """How long a destination is left alone after so many failures in a row, whatever waits for it."""
        return _at_least(asked_for, min(_LONGEST_REST, self._doubled(failures) / 10))

    def _doubled(self, times: int) -> timedelta:
        doubled: timedelta = self.first_pause * 2 ** min(times - 1, _MOST_DOUBLINGS)
        return doubled


def _at_least(asked_for: timedelta | None, pause: timedelta) -> timedelta:
    jittered = pause * (0.5 + random.random() / 2)  # noqa: S311  # jitter, not a secret
    return max(jittered, min(_LONGEST_ASKED_FOR, asked_for or timedelta()))


def topic_of(data: EventData) -> Topic | None:
    """What a destination would be told of by this event; None where it is none of theirs."""
    name = f"{data.entity}.{data.event}"
    return Topic(name) if name in set(Topic) else None


def in_order(topics: Collection[Topic]) -> tuple[Topic, ...]:
    """Each once, as `Topic` has them."""
    return tuple(each for each in Topic if each in topics)
