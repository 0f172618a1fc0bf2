"""How much a tenant and a user may store in one day. Days are those of UTC."""

from dataclasses import astuple, dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Self

from ingest_service.domain.identity import SopReference
from ingest_service.domain.reasons import Refusal, RejectReason


@dataclass(frozen=True, slots=True)
class Amounts:
    """Of newly stored images, in one day: what is allowed, used or left."""

    tenant_bytes: int
    tenant_files: int
    user_bytes: int

    def plus_file(self, size_bytes: int) -> Self:
        """With one more file."""
        return type(self)(self.tenant_bytes + size_bytes, self.tenant_files + 1, self.user_bytes + size_bytes)

    def minus(self, used: "Amounts") -> Self:
        """What is left of this after `used`; never below 0."""
        return type(self)(*(max(0, quota - spent) for quota, spent in zip(astuple(self), astuple(used), strict=True)))

    def exceeded_by(self, used: "Amounts") -> list[str]:
        """Names of the amounts that `used` exceeds."""
        return [each.name for each in fields(self) if getattr(used, each.name) > getattr(self, each.name)]

    def reached_by(self, used: "Amounts") -> list[str]:
        """Names of the amounts of which `used` leaves nothing."""
        return [each.name for each in fields(self) if getattr(used, each.name) >= getattr(self, each.name)]


def check_fits(quota: Amounts, used: Amounts, sop: SopReference) -> None:
    """Refuse the file that was counted last in `used`, where that is too much.

    Raises:
        Refusal: it is; the detail names the quota.
    """
    if exceeded := quota.exceeded_by(used):
        detail = f"more than the quota of the day allows: {', '.join(exceeded)}"
        raise Refusal(RejectReason.QUOTA_EXCEEDED, detail, sop)


def day_of(at: datetime) -> date:
    """The day that a file received then counts for."""
    return at.astimezone(UTC).date()


def end_of(day: date) -> datetime:
    """When the next day begins."""
    return datetime.combine(day + timedelta(days=1), time.min, UTC)
