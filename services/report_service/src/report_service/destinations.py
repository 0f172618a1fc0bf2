"""Looking after a tenant's destinations: one function per use case, on ports."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

from radrelay_shared.audit import AuditFact
from radrelay_shared.database import Scope
from radrelay_shared.events import Event, make_event
from radrelay_shared.http import Conflict, NotFound, PreconditionFailed, ServiceUnavailable, UnprocessableContent
from report_service.domain.audit import AuditAction
from report_service.domain.destinations import (
    MOST_A_TENANT,
    Delivery,
    Destination,
    DestinationTested,
    Kind,
    PauseReason,
    Standing,
    Topic,
    in_order,
)
from report_service.domain.places import SETTING, Allowed, NoPlace, check_place
from report_service.domain.webhooks import SecretVault, new_secret
from report_service.handlers import SOURCE

Position = tuple[datetime, str]
"""Of a delivery in the list of them: when it was noted, and its event."""


class DestinationUnit(Protocol):
    """One transaction on a tenant's destinations and what is on its way to them."""

    async def add_destination(self, destination: Destination) -> None:
        """Keep a new one."""

    async def standings(self) -> list[Standing]:
        """All there are, the oldest first."""

    async def standing(self, destination_id: UUID) -> Standing | None:
        """One, and how deliveries to it go."""

    async def lock_destination(self, destination_id: UUID) -> Destination | None:
        """One, which nobody else changes until the unit ends."""

    async def change_destination(self, destination: Destination) -> None:
        """Keep it as it is now; it is tried again at once."""

    async def remove_destination(self, destination_id: UUID) -> None:
        """Remove it, and all that is on its way to it."""

    async def add_delivery(self, destination_id: UUID, event: Event[Any]) -> None:
        """Note an event that is for this destination alone."""

    async def deliveries(self, destination_id: UUID, before: Position | None, limit: int) -> list[Delivery]:
        """What was noted for a destination, the newest first: at most `limit` of those before that one."""

    async def delivery(self, destination_id: UUID, event_id: str) -> Delivery | None:
        """One of them."""

    async def repeat_delivery(self, destination_id: UUID, event_id: str, at: datetime) -> bool:
        """Have one tried again that was given up; False where it was not."""

    async def audit(self, *facts: AuditFact) -> None:
        """Append to the tenant's audit chain. Call it last: other writers of the tenant wait from here to the end."""


class DestinationStore(Protocol):
    """Where destinations are kept."""

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[DestinationUnit]:
        """Commits on normal exit, else rolls back; sees and writes only what the scope allows."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of a destination; None: as it is."""

    name: str | None = None
    url: str | None = None
    topics: tuple[Topic, ...] | None = None
    paused: bool | None = None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """Deliveries, newest first, and before which the next page begins: None on the last."""

    deliveries: tuple[Delivery, ...]
    next_before: Position | None


@dataclass(frozen=True, slots=True)
class Destinations:
    """What administrators do with destinations; each act is in the audit trail, in the same transaction."""

    store: DestinationStore
    vault: SecretVault
    allowed: tuple[Allowed, ...]
    """Hosts that the platform team names."""

    async def list(self, *, scope: Scope) -> list[Standing]:
        """All of the tenant's."""
        async with self.store.transaction(scope) as unit:
            return await unit.standings()

    async def get(self, destination_id: UUID, *, scope: Scope) -> Standing:
        """One, and how deliveries to it go.

        Raises:
            NotFound: the tenant has none of that identifier.
        """
        async with self.store.transaction(scope) as unit:
            return _found(await unit.standing(destination_id))

    async def create(self, name: str, url: str, topics: Sequence[Topic], *, scope: Scope) -> tuple[Standing, str]:
        """A new destination, and the secret that is not shown again.

        Raises:
            ServiceUnavailable: there is no key to keep secrets under.
            Conflict: no host is allowed, or the tenant has as many as it may.
            UnprocessableContent: the address is none, or its host is not allowed.
        """
        self._check_url(url)
        self._check_key()
        now, destination_id, secret = datetime.now(UTC), uuid4(), new_secret()
        destination = Destination(
            tenant=scope.tenant,
            destination_id=destination_id,
            kind=Kind.WEBHOOK,
            name=name,
            url=url,
            topics=in_order(topics),
            secret_sealed=self.vault.seal(scope.tenant, destination_id, secret),
            version=1,
            paused=None,
            created_at=now,
            created_by=scope.owner_id,
            changed_at=now,
        )
        async with self.store.transaction(scope) as unit:
            if len(await unit.standings()) >= MOST_A_TENANT:
                raise Conflict(
                    code="too_many_destinations", detail=f"A tenant has {MOST_A_TENANT} destinations at most."
                )
            await unit.add_destination(destination)
            await unit.audit(_fact(destination_id, AuditAction.DESTINATION_CREATED, scope))
        return Standing(destination, 0, 0, None), secret

    async def change(
        self, destination_id: UUID, wish: Wish, *, is_current: Callable[[int], bool], scope: Scope
    ) -> Standing:
        """Change what is wished, of the state that the caller saw: `is_current` says of a version whether they did.

        Raises:
            NotFound: the tenant has none of that identifier.
            PreconditionFailed: it is not any more as the caller saw it.
            Conflict, UnprocessableContent: as for a new one.
        """
        if wish.url is not None:
            self._check_url(wish.url)
        async with self.store.transaction(scope) as unit:
            before = await self._current(unit, destination_id, is_current)
            paused = before.paused
            if wish.paused is not None:
                paused = (before.paused or PauseReason.ADMINISTRATOR) if wish.paused else None
            after = replace(
                before,
                name=before.name if wish.name is None else wish.name,
                url=before.url if wish.url is None else wish.url,
                topics=before.topics if wish.topics is None else in_order(wish.topics),
                paused=paused,
                version=before.version + 1,
                changed_at=datetime.now(UTC),
                failures=0,
            )
            await unit.change_destination(after)
            changed = _found(await unit.standing(destination_id))
            await unit.audit(_fact(destination_id, AuditAction.DESTINATION_CHANGED, scope))
        return changed

    async def rotate_secret(
        self, destination_id: UUID, *, is_current: Callable[[int], bool], scope: Scope
    ) -> tuple[Standing, str]:
        """Sign with a new secret from now on, which is not shown again.

        Raises:
            NotFound, PreconditionFailed: as for a change.
            ServiceUnavailable: there is no key to keep secrets under.
        """
        self._check_key()
        secret = new_secret()
        async with self.store.transaction(scope) as unit:
            before = await self._current(unit, destination_id, is_current)
            sealed = self.vault.seal(scope.tenant, destination_id, secret)
            after = replace(
                before,
                secret_sealed=sealed,
                version=before.version + 1,
                changed_at=datetime.now(UTC),
                failures=0,
            )
            await unit.change_destination(after)
            changed = _found(await unit.standing(destination_id))
            await unit.audit(_fact(destination_id, AuditAction.DESTINATION_SECRET_ROTATED, scope))
        return changed, secret

    async def remove(self, destination_id: UUID, *, is_current: Callable[[int], bool], scope: Scope) -> None:
        """Remove a destination; what is on its way to it is not sent any more.

        Raises:
            NotFound, PreconditionFailed: as for a change.
        """
        async with self.store.transaction(scope) as unit:
            await self._current(unit, destination_id, is_current)
            await unit.remove_destination(destination_id)
            await unit.audit(_fact(destination_id, AuditAction.DESTINATION_REMOVED, scope))

    async def test(self, destination_id: UUID, *, scope: Scope) -> Delivery:
        """Have an event sent that says nothing but that it is a test.

        Raises:
            NotFound: the tenant has none of that identifier.
            Conflict: it is paused.
        """
        now = datetime.now(UTC)
        data = DestinationTested(destination_id=destination_id, requested_at=now)
        event = make_event(data, tenant=scope.tenant, source=SOURCE)
        async with self.store.transaction(scope) as unit:
            _check_running(await unit.lock_destination(destination_id))
            await unit.add_delivery(destination_id, event)
            delivery = await _delivery(unit, destination_id, event.id)
            await unit.audit(_fact(destination_id, AuditAction.DESTINATION_TESTED, scope))
        return delivery

    async def deliveries(
        self, destination_id: UUID, *, before: Position | None, limit: int, scope: Scope
    ) -> DeliveryPage:
        """What was on its way to a destination of late, the newest first.

        Raises:
            NotFound: the tenant has none of that identifier.
        """
        async with self.store.transaction(scope) as unit:
            _found(await unit.standing(destination_id))
            found = await unit.deliveries(destination_id, before, limit + 1)
        kept = tuple(found[:limit])
        return DeliveryPage(kept, (kept[-1].created_at, kept[-1].event_id) if len(found) > limit else None)

    async def repeat(self, destination_id: UUID, event_id: str, *, scope: Scope) -> Delivery:
        """Have a delivery tried again that was given up.

        Raises:
            NotFound: the tenant has no such destination, or nothing of that event was on its way to it.
            Conflict: the destination is paused, or the delivery was not given up.
        """
        now = datetime.now(UTC)
        async with self.store.transaction(scope) as unit:
            _check_running(await unit.lock_destination(destination_id))
            await _delivery(unit, destination_id, event_id)
            if not await unit.repeat_delivery(destination_id, event_id, now):
                raise Conflict(code="delivery_not_failed", detail="Only what was given up is sent again.")
            delivery = await _delivery(unit, destination_id, event_id)
            await unit.audit(_fact(destination_id, AuditAction.DELIVERY_REPEATED, scope))
        return delivery

    def _check_key(self) -> None:
        if not self.vault.can_seal:
            detail = "This installation has no key to keep secrets under."
            raise ServiceUnavailable(code="destinations_unavailable", detail=detail)

    def _check_url(self, url: str) -> None:
        if not self.allowed:
            detail = f"Whoever runs Radrelay has allowed no hosts for destinations yet (setting {SETTING})."
            raise Conflict(code="no_destination_hosts", detail=detail)
        try:
            check_place(url, self.allowed)
        except NoPlace as error:
            raise UnprocessableContent(code=error.code, detail=error.detail) from error

    async def _current(
        self, unit: DestinationUnit, destination_id: UUID, is_current: Callable[[int], bool]
    ) -> Destination:
        found = await unit.lock_destination(destination_id)
        if found is None:
            raise _not_found()
        if not is_current(found.version):
            raise PreconditionFailed(
                code="destination_changed", detail="The destination is not as you last saw it. Look again, then decide."
            )
        return found


async def _delivery(unit: DestinationUnit, destination_id: UUID, event_id: str) -> Delivery:
    found = await unit.delivery(destination_id, event_id)
    if found is None:
        raise NotFound(code="delivery_not_found", detail="Nothing of this event was on its way to the destination.")
    return found


def _check_running(destination: Destination | None) -> None:
    if destination is None:
        raise _not_found()
    if destination.paused:
        raise Conflict(code="destination_paused", detail="Nothing is sent to a destination that is paused.")


def _found(standing: Standing | None) -> Standing:
    if standing is None:
        raise _not_found()
    return standing


def _not_found() -> NotFound:
    return NotFound(code="destination_not_found", detail="Your tenant has no destination of this identifier.")


def _fact(destination_id: UUID, action: AuditAction, scope: Scope) -> AuditFact:
    return AuditFact(scope.tenant, scope.owner_id, action, datetime.now(UTC), destination_id=destination_id)
