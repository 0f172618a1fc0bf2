"""What the caller may still store today."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import ceil
from uuid import UUID

from ingest_service.domain.model import Batch
from ingest_service.domain.quota import Amounts, day_of, end_of
from ingest_service.handlers.batches import check_owner
from ingest_service.ports import Intake
from radrelay_shared.database import Scope
from radrelay_shared.http import Conflict, TooManyRequests


@dataclass(frozen=True, slots=True)
class QuotaStanding:
    """A quota and what is used of it."""

    day: date
    quota: Amounts
    used: Amounts

    @property
    def resets_at(self) -> datetime:
        """When nothing of it is used any more."""
        return end_of(self.day)


async def read_quota(intake: Intake, caller: Scope) -> QuotaStanding:
    """Where the caller and the tenant stand today."""
    day = day_of(datetime.now(UTC))
    async with intake.records.transaction(caller) as tx:
        used = await tx.used_on(day, caller.owner_id)
    return QuotaStanding(day, intake.quota_of(caller.tenant), used)


async def check_quota_left(intake: Intake, caller: Scope) -> None:
    """Refuse an upload before its body is read, where nothing of it could be stored.

    Raises:
        TooManyRequests: a quota is used up.
    """
    _check_left(await read_quota(intake, caller))


async def admit_upload(intake: Intake, caller: Scope, batch_id: UUID) -> Batch:
    """The batch that the caller adds files to, looked up together with what the caller may still store.

    Raises:
        NotFound, Forbidden: see `own_batch`.
        Conflict: the batch is closed.
        TooManyRequests: a quota is used up.
    """
    day = day_of(datetime.now(UTC))
    admission = await intake.register.admit(caller, batch_id)
    batch = check_owner(caller, admission.batch)
    if batch.closed_at is not None:
        raise Conflict(code="batch_closed", detail="The batch is closed; open another one.")
    _check_left(QuotaStanding(day, intake.quota_of(caller.tenant), admission.used))
    return batch


async def check_length_fits(intake: Intake, caller: Scope, length_bytes: int) -> None:
    """Refuse an upload whose length is known before it begins, where so much could not be stored.

    Raises:
        TooManyRequests: not so much is left of a quota.
    """
    standing = await read_quota(intake, caller)
    if exceeded := standing.quota.exceeded_by(standing.used.plus_file(length_bytes)):
        raise _used_up(standing, exceeded)


def _check_left(standing: QuotaStanding) -> None:
    if reached := standing.quota.reached_by(standing.used):
        raise _used_up(standing, reached)


def _used_up(standing: QuotaStanding, names: list[str]) -> TooManyRequests:
    wait_s = max(1, ceil((standing.resets_at - datetime.now(UTC)).total_seconds()))
    return TooManyRequests(
        code="quota_exceeded",
        detail=f"The quota of the day is used up: {', '.join(names)}. It begins anew at midnight UTC.",
        extensions={"violated-policies": names},
        headers={"Retry-After": str(wait_s)},
    )
