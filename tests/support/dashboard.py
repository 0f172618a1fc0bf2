"""What a dashboard should say, counted from the reports one by one, and what it says."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from dashboard_service.domain.bins import probability_bin, turnaround_bin
from dashboard_service.domain.figures import Counts, Dimension, FigureScope
from dashboard_service.domain.periods import Step
from dashboard_service.handlers import reading
from dashboard_service.handlers.questions import FigureStore, Question, asking
from radrelay_shared.auth import Principal, Role
from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Event, InferenceFailed, ReportCreated, Verdict

FIRST, LAST = date(2026, 3, 1), date(2026, 4, 30)
"""A period that includes all that `support.events` makes by default."""
_EXACT_DIGITS = 1200
"""More than any sum of floats from 0 to 1 has."""
_ROLLUPS = ("case_rollups", "probability_rollups", "turnaround_rollups", "failure_rollups")


@dataclass
class Image:
    """What happened to one image in the end."""

    owner_id: str
    received_at: datetime
    report: ReportCreated | None = None
    verdict: Verdict | None = None
    erased: bool = False
    failure: InferenceFailed | None = None
    """The last one."""


def counts_of(images: Sequence[Image]) -> Counts:
    """Counted one by one, without rounding."""
    with localcontext(prec=_EXACT_DIGITS):
        return _added(images)


def _added(images: Sequence[Image]) -> Counts:
    total = Counts()
    for image in images:
        if image.report is None or image.erased:
            continue
        positive = image.report.positive
        agreed, disagreed, unsure = (int(image.verdict is each) for each in Verdict)
        total += Counts(
            cases=1,
            positives=int(positive),
            agreed=agreed,
            disagreed=disagreed,
            unsure=unsure,
            positives_agreed=agreed * positive,
            positives_disagreed=disagreed * positive,
            positives_unsure=unsure * positive,
            confidence_sum=Decimal(repr(image.report.confidence)),
        )
    return total


def grouped(images: Sequence[Image], key: Any) -> dict[Any, Counts]:
    """Counted by what `key` says of a report; what has no case is left out."""
    groups: dict[Any, list[Image]] = {}
    for image in images:
        if image.report is not None and not image.erased:
            groups.setdefault(key(image.report), []).append(image)
    return {name: counts_of(group) for name, group in groups.items()}


@dataclass
class Expected:
    """Counted by hand, in a time zone."""

    zone: ZoneInfo
    images: Sequence[Image]
    reported: list[Image] = field(init=False)

    def __post_init__(self) -> None:
        self.reported = [image for image in self.images if image.report is not None and not image.erased]

    def local(self, report: ReportCreated) -> datetime:
        return report.received_at.astimezone(self.zone).replace(tzinfo=None, minute=0, second=0, microsecond=0)

    def bins(self) -> Counter[int]:
        return Counter(probability_bin(image.report.probability) for image in self.reported if image.report)

    def turnarounds(self) -> Counter[tuple[str, int]]:
        return Counter(
            (
                str(image.report.priority or "unknown"),
                turnaround_bin((image.report.created_at - image.report.received_at).total_seconds()),
            )
            for image in self.reported
            if image.report
        )

    def failures(self) -> Counter[str]:
        return Counter(image.failure.reason for image in self.images if image.failure and image.report is None)


async def assert_figures(store: FigureStore, tenant: str, owner: str | None, expected: Expected) -> None:
    """Every figure of the tenant, or of one owner, is what counting gives."""
    role, scope = (Role.TENANT_ADMIN, FigureScope.TENANT) if owner is None else (Role.CLINICIAN, FigureScope.OWN)
    principal = Principal(tenant, owner or "boss", frozenset({role}))
    question = Question(scope, FIRST, LAST)
    async with asking(question, principal, store) as asked:
        unit, of = asked.unit, asked.selection
        summary = await unit.by_urgency_and_model(of)
        assert summary == grouped(expected.images, lambda r: (r.urgency, r.model.digest, r.model.label))
        assert await unit.by_dimension(of, Dimension.MODALITY) == grouped(expected.images, lambda r: (r.modality,))
        if owner is None:
            assert await unit.by_dimension(of, Dimension.CLINICIAN) == grouped(expected.images, lambda r: (r.owner_id,))
        assert await unit.by_step(of, Step.HOUR) == grouped(expected.images, expected.local)
        days = grouped(expected.images, lambda r: expected.local(r).replace(hour=0))
        assert await unit.by_step(of, Step.DAY) == days
        months = grouped(expected.images, lambda r: expected.local(r).replace(hour=0, day=1))
        assert await unit.by_step(of, Step.MONTH) == months
        probabilities = {number: cases for number, (cases, _) in (await unit.probabilities(of)).items() if cases}
        assert probabilities == expected.bins()
        turnarounds = {
            (priority, number): cases
            for priority, bins in (await unit.turnarounds(of)).items()
            for number, cases in bins.items()
            if cases
        }
        assert turnarounds == expected.turnarounds()
        assert await unit.failures(of) == expected.failures()


async def rollups_of(database: Database, tenant: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every rollup of a tenant that is shown, without the number of its generation and without what is zero."""
    found = {}
    async with database.transaction(Scope.service(tenant)) as session:
        for table in _ROLLUPS:
            counted = "failures" if table == "failure_rollups" else "cases"
            statement = (
                f"SELECT to_jsonb(r) - 'generation' FROM dashboard.{table} r JOIN dashboard.generations g"
                f" USING (tenant, generation) WHERE g.state = 'active' AND {counted} <> 0 ORDER BY 1"
            )
            found[table] = [tuple(row) for row in await session.execute(text(statement))]
    return found


async def total_cases(store: FigureStore, tenant: str, *, last: date = LAST) -> tuple[int, int]:
    """Cases and failures of a tenant in the usual period of tests, or a longer one."""
    principal = Principal(tenant, "boss", frozenset({Role.TENANT_ADMIN}))
    summary = await reading.get_summary(Question(FigureScope.TENANT, FIRST, last), principal=principal, store=store)
    return summary.now.counts.cases, summary.now.failed


def submitted(event: Event[InferenceFailed]) -> tuple[int, datetime, str]:
    """By what the last of several failures is told."""
    return event.data.submission, event.data.failed_at, event.data.reason
