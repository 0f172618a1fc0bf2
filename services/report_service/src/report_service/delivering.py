"""Bringing events to destinations: what was noted with its announcement is sent until it has arrived.

What is noted is a row for each event and destination, so that whoever is killed loses nothing. An event may arrive
twice, under the same identifier: a worker may die between the answer and noting it.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from report_service import metrics
from report_service.domain.destinations import (
    Attempt,
    DeliveryOutcome,
    DeliveryState,
    Destination,
    Patience,
    PauseReason,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One event for one destination, in the hand of one worker."""

    destination: Destination
    event_id: str
    payload: bytes = field(repr=False)
    attempts: int
    """With this one."""
    expires_at: datetime


class DeliveryQueue(Protocol):
    """What is on its way, of all tenants."""

    async def ready(self, now: datetime) -> Sequence[Destination]:
        """Destinations that something is due for, and that may be asked now."""

    async def claim(self, destination: Destination, now: datetime, until: datetime, limit: int) -> Sequence[Parcel]:
        """Have what is due for a destination to oneself until then, the longest due first."""

    async def settle(self, parcel: Parcel, attempt: Attempt, state: DeliveryState, now: datetime) -> None:
        """Note that it has arrived, or is given up; unless it is not there any more."""

    async def put_off(self, parcel: Parcel, attempt: Attempt, due_at: datetime) -> None:
        """Note that it has not arrived, and when it is tried again; likewise."""

    async def rest(self, destination: Destination, failures: int, until: datetime | None) -> None:
        """Note how often in a row a destination failed, and leave it alone until then."""

    async def pause(self, destination: Destination, reason: PauseReason, now: datetime) -> None:
        """Send it nothing until an administrator resumes it; unless one changed it meanwhile."""

    async def give_up(self, now: datetime) -> int:
        """Give up what is pending and whose time is over, whether it was tried or not; return how many."""

    async def forget(self, settled_before: datetime) -> int:
        """Remove what was settled before, and return how many."""

    async def oldest(self) -> datetime | None:
        """When the oldest was noted that waits for a destination that is not paused."""


class Carrier(Protocol):
    """Sends, whatever a destination is."""

    async def send(self, parcel: Parcel) -> Attempt:
        """Try once; it ends in bounded time and raises nothing for what a destination does."""


@dataclass(frozen=True, slots=True)
class Courier:
    """Sends what is due; any number of workers may do it side by side.

    Each destination has so much in flight at most, and one that failed last time one only: whoever is slow or dead
    keeps no room from the others. It also rests after a failure, the longer the more there were in a row.
    """

    queue: DeliveryQueue
    carrier: Carrier
    patience: Patience
    lease: timedelta
    """Longer than an attempt takes: what a worker had in hand that died is sent by another one afterwards."""
    at_once: int
    at_once_each: int
    poll_s: float
    kept: timedelta
    """For so long it is shown what became of a delivery."""
    is_outage: Callable[[BaseException], bool]

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set, then finish what is in hand and return. A database that is away is waited for."""
        in_hand: dict[asyncio.Task[None], UUID] = {}
        stopped = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                await self._take(in_hand)
                await asyncio.wait([stopped, *in_hand], timeout=self.poll_s, return_when=asyncio.FIRST_COMPLETED)
                for task in [each for each in in_hand if each.done()]:
                    del in_hand[task]
                    await task
        finally:
            stopped.cancel()
            await asyncio.gather(*in_hand)

    async def tidy(self) -> None:
        """Give up what is too old, remove what was settled long ago, and say how long the oldest has waited."""
        now = datetime.now(UTC)
        while given_up := await self.queue.give_up(now):
            metrics.DELIVERIES.labels(outcome=DeliveryOutcome.GIVEN_UP).inc(given_up)
        while await self.queue.forget(now - self.kept):
            pass
        oldest = await self.queue.oldest()
        metrics.DELIVERY_AGE_S.set((now - oldest).total_seconds() if oldest else 0.0)

    async def _take(self, in_hand: dict[asyncio.Task[None], UUID]) -> None:
        """Start as much as there is room for; those who have the least in hand come first."""
        busy = Counter(in_hand.values())
        try:
            ready = list(await self.queue.ready(datetime.now(UTC)))
            random.shuffle(ready)
            for destination in sorted(ready, key=lambda each: busy[each.destination_id]):
                most = 1 if destination.failures else self.at_once_each
                room = min(most - busy[destination.destination_id], self.at_once - len(in_hand))
                if room > 0:
                    now = datetime.now(UTC)
                    for parcel in await self.queue.claim(destination, now, now + self.lease, room):
                        in_hand[asyncio.create_task(self._deliver(parcel))] = destination.destination_id
        except Exception as error:
            if not self.is_outage(error):
                raise
            _log.warning("deliveries wait", extra={"error": type(error).__name__})

    async def _deliver(self, parcel: Parcel) -> None:
        attempt = await self.carrier.send(parcel)
        try:
            outcome = await self._note(parcel, attempt, datetime.now(UTC))
        except Exception as error:
            if not self.is_outage(error):
                raise
            # It comes again when the claim is over.
            _log.warning("a delivery is not noted", extra={"error": type(error).__name__})
            return
        metrics.DELIVERIES.labels(outcome=outcome).inc()
        if outcome is not DeliveryOutcome.DELIVERED:
            _log.warning(
                "an event did not arrive",
                extra={
                    "destination_id": str(parcel.destination.destination_id),
                    "outcome": outcome,
                    "reason": attempt.reason,
                    "status": attempt.status,
                },
            )

    async def _note(self, parcel: Parcel, attempt: Attempt, now: datetime) -> DeliveryOutcome:
        queue, destination = self.queue, parcel.destination
        if attempt.succeeded:
            await queue.settle(parcel, attempt, DeliveryState.DELIVERED, now)
            if destination.failures:
                await queue.rest(destination, 0, None)
            return DeliveryOutcome.DELIVERED
        if attempt.is_gone:
            await queue.put_off(parcel, attempt, now)
            await queue.pause(destination, PauseReason.GONE, now)
            return DeliveryOutcome.PAUSED
        failures = destination.failures + 1
        await queue.rest(destination, failures, now + self.patience.rest_after(failures, attempt.retry_after))
        due_at = now + self.patience.pause_after(parcel.attempts, attempt.retry_after)
        if due_at < parcel.expires_at:
            await queue.put_off(parcel, attempt, due_at)
            return DeliveryOutcome.RETRIED
        await queue.settle(parcel, attempt, DeliveryState.FAILED, now)
        return DeliveryOutcome.GIVEN_UP
