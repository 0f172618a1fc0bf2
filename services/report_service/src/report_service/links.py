"""Links that show one picture without a token: made for somebody, read by whoever has them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from radrelay_shared.audit.ports import ReadLog
from radrelay_shared.database import Scope
from radrelay_shared.http import NotFound, ServiceUnavailable
from report_service.domain.audit import AuditAction
from report_service.domain.pictures import PictureRequest
from report_service.handlers import ReportStore, fact_about, find_report


class BadLink(ValueError):
    """A link that is none of ours, was changed, is over, or whose key was taken away."""


@dataclass(frozen=True, slots=True)
class LinkGrant:
    """Whoever has the link sees this one picture until then, as the one who asked for the link would."""

    scope: Scope
    """Of the one who asked for it: what may be seen is decided when the link is used."""
    report_id: UUID
    picture: PictureRequest
    expires_at: datetime


class Signer(Protocol):
    """Makes grants that nobody else can make."""

    @property
    def can_sign(self) -> bool:
        """Whether there is a key."""

    def sign(self, grant: LinkGrant) -> str:
        """The grant as text for an address."""

    def read(self, signed: str) -> LinkGrant:
        """What was signed. Raises BadLink."""


@dataclass(frozen=True, slots=True)
class Links:
    """Makes links and reads them."""

    reports: ReportStore
    reads: ReadLog
    signer: Signer
    lifetime_s: int
    now: Callable[[], datetime]

    async def make(self, report_id: UUID, picture: PictureRequest, *, scope: Scope) -> tuple[str, datetime]:
        """A signed grant of one picture of a report, and when it ends; that it was given out is recorded first.

        Raises:
            NotFound: no such report for this scope.
            ServiceUnavailable: there is no key.
        """
        if not self.signer.can_sign:
            raise ServiceUnavailable(code="links_unavailable", detail="This installation has no key for links.")
        report = await find_report(report_id, scope, self.reports)
        await self.reads.record(fact_about(report, AuditAction.LINK_MADE, scope.owner_id))
        expires_at = self.now().replace(microsecond=0) + timedelta(seconds=self.lifetime_s)
        return self.signer.sign(LinkGrant(scope, report_id, picture, expires_at)), expires_at

    def read(self, report_id: UUID, signed: str) -> LinkGrant:
        """What a link to this report grants.

        Raises:
            NotFound: nothing.
        """
        try:
            grant = self.signer.read(signed)
        except BadLink as error:
            raise _no_link() from error
        if grant.report_id != report_id:
            raise _no_link()
        return grant


def _no_link() -> NotFound:
    return NotFound(code="link_not_found", detail="This link is over, or was never one.")
