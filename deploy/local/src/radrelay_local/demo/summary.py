"""What the demo sent against what the product says: the numbers of `summary.json` and whether they agree."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID
from zipfile import BadZipFile, ZipFile, is_zipfile

from radrelay_local.client.answers import Batch, BatchFile, DashboardSummary, Receipt, Report
from radrelay_local.demo.samples import Parcel
from radrelay_local.people import User

CONFIDENCE_TOLERANCE = 1e-3
"""Largest difference between the dashboard's average and ours, which may be rounded."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One parcel's way through the product.

    Attributes:
        parcel: what was sent.
        receipt: what the upload answered.
        batch: the batch when it was done.
        files: what became of each file.
        reports: the reports of its images, most urgent first.
        seconds: from the first byte sent to the last case done.
    """

    parcel: Parcel
    receipt: Receipt
    batch: Batch
    files: list[BatchFile]
    reports: list[Report]
    seconds: float

    @property
    def new_images(self) -> set[UUID]:
        """Images that were not here before this batch."""
        return {accepted.instance_id for accepted in self.receipt.accepted if not accepted.repeated}

    @property
    def failures(self) -> list[BatchFile]:
        """Images that could not be screened."""
        return [file for file in self.files if file.status == "failed"]

    def report_of(self) -> dict[UUID, Report]:
        """Return the reports by their image."""
        return {report.instance_id: report for report in self.reports}

    def problems(self) -> list[str]:
        """Say where the batch does not add up: every file sent is one report, one failure or one refusal."""
        name, counts = self.parcel.label, self.batch.counts
        sent = files_sent(self.parcel, self.receipt)
        answered = len(self.receipt.accepted) + len(self.receipt.rejected)
        found = []
        if sent != answered:
            found.append(f"{name}: {sent} files sent, {answered} answered")
        if counts.reported + counts.failed != len(self.receipt.accepted):
            finished = f"{counts.reported} reported and {counts.failed} failed"
            found.append(f"{name}: {len(self.receipt.accepted)} accepted, {finished}")
        if counts.rejected != len(self.receipt.rejected):
            found.append(f"{name}: {len(self.receipt.rejected)} refused, the batch counts {counts.rejected}")
        missing = {file.instance_id for file in self.files if file.status == "reported"} - set(self.report_of())
        if missing:
            found.append(f"{name}: {len(missing)} reported images have no report")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the batch's part of `summary.json`."""
        cases = self.batch.counts.reported + self.batch.counts.failed
        return {
            "label": self.parcel.label,
            "tenant": self.parcel.sender.tenant,
            "user": self.parcel.sender.name,
            "priority": self.parcel.priority.value,
            "batch_id": str(self.batch.batch_id),
            "files_sent": files_sent(self.parcel, self.receipt),
            "bytes_sent": self.parcel.size_bytes,
            "accepted": len(self.receipt.accepted),
            "repeated": sum(accepted.repeated for accepted in self.receipt.accepted),
            "rejected": [rejected.model_dump() for rejected in self.receipt.rejected],
            "reports": self.batch.counts.reported,
            "failures": [{"name": file.name, "reason": file.reason, "detail": file.detail} for file in self.failures],
            "by_urgency": _by_urgency(self.reports),
            "seconds": round(self.seconds, 3),
            "cases_per_second": round(cases / self.seconds, 3) if self.seconds else 0.0,
        }


@dataclass(frozen=True, slots=True)
class Expected:
    """What a dashboard should have gained."""

    total_cases: int
    positive_cases: int
    failed_cases: int
    by_urgency: dict[str, int]
    confidence_sum: float


@dataclass(frozen=True, slots=True)
class DashboardCheck:
    """One user's dashboard before and after, and what it should have gained."""

    user: User
    scope: str
    before: DashboardSummary
    after: DashboardSummary
    expected: Expected

    def problems(self) -> list[str]:
        """Say which figures differ from what was sent."""
        before, after = self.before, self.after
        gained = {
            "total_cases": after.total_cases - before.total_cases,
            "positive_cases": after.positive_cases - before.positive_cases,
            "failed_cases": after.failed_cases - before.failed_cases,
            "by_urgency": _difference(after, before),
        }
        wanted = asdict(self.expected)
        where = f"{self.user.tenant}/{self.user.name} ({self.scope})"
        found = [
            f"dashboard of {where}: {name} grew by {value}, expected {wanted[name]}"
            for name, value in gained.items()
            if value != wanted[name]
        ]
        return found + self._rate_problems(where)

    def _rate_problems(self, where: str) -> list[str]:
        total = self.after.total_cases
        if total == 0:
            return []
        found = []
        known = (self.before.average_confidence or 0.0) * self.before.total_cases
        average = (known + self.expected.confidence_sum) / total
        if abs((self.after.average_confidence or 0.0) - average) > CONFIDENCE_TOLERANCE:
            shown = self.after.average_confidence
            found.append(f"dashboard of {where}: average confidence is {shown}, expected {average:.4f}")
        rate = self.after.positive_cases / total
        if abs((self.after.positivity_rate or 0.0) - rate) > CONFIDENCE_TOLERANCE:
            found.append(f"dashboard of {where}: positivity rate is {self.after.positivity_rate}, expected {rate:.4f}")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the dashboard's part of `summary.json`."""
        return {
            "tenant": self.user.tenant,
            "user": self.user.name,
            "scope": self.scope,
            "before": self.before.model_dump(mode="json"),
            "after": self.after.model_dump(mode="json"),
            "expected_growth": asdict(self.expected),
            "equals_what_was_sent": not self.problems(),
        }


@dataclass(frozen=True, slots=True)
class IsolationCheck:
    """What a user got who asked for something of another tenant."""

    user: User
    asked_for: str
    status: int | None

    def problems(self) -> list[str]:
        """Someone else's identifier answers 404."""
        if self.status == 404:
            return []
        return [f"{self.user.tenant}/{self.user.name} asked for {self.asked_for} and got {self.status}, not 404"]

    def to_json(self) -> dict[str, Any]:
        """Return the check's part of `summary.json`."""
        user = self.user
        return {"tenant": user.tenant, "user": user.name, "asked_for": self.asked_for, "status": self.status}


@dataclass(slots=True)
class Summary:
    """The whole run."""

    delivered: list[Delivered] = field(default_factory=list)
    dashboards: list[DashboardCheck] = field(default_factory=list)
    isolation: list[IsolationCheck] = field(default_factory=list)
    overlays: list[Path] = field(default_factory=list)

    def problems(self) -> list[str]:
        """Say everything that does not agree."""
        parts: list[Delivered | DashboardCheck | IsolationCheck]
        parts = [*self.delivered, *self.dashboards, *self.isolation]
        return [problem for part in parts for problem in part.problems()]

    def to_json(self) -> dict[str, Any]:
        """Return the contents of `summary.json`."""
        models = {report.model.digest: report.model for batch in self.delivered for report in batch.reports}
        return {
            "equals_what_was_sent": not self.problems(),
            "problems": self.problems(),
            "models": [model.model_dump(mode="json") for model in models.values()],
            "batches": [batch.to_json() for batch in self.delivered],
            "dashboards": [check.to_json() for check in self.dashboards],
            "isolation": [check.to_json() for check in self.isolation],
            "overlays": [path.name for path in self.overlays],
        }


def expected_growth(delivered: Iterable[Delivered]) -> Expected:
    """Return what these batches add to a dashboard: images that were here before add nothing."""
    cases: list[Report] = []
    failed = 0
    counted: set[UUID] = set()
    for batch in delivered:
        new = batch.new_images - counted
        counted |= new
        cases += [report for image, report in batch.report_of().items() if image in new]
        failed += len({file.instance_id for file in batch.failures} & new)
    return Expected(
        total_cases=len(cases),
        positive_cases=sum(report.positive for report in cases),
        failed_cases=failed,
        by_urgency=_by_urgency(cases),
        confidence_sum=sum(report.confidence for report in cases),
    )


def files_sent(parcel: Parcel, receipt: Receipt) -> int:
    """Count the files sent: an archive counts as its entries, or as one where it was refused as a whole."""
    refused = {rejected.name for rejected in receipt.rejected}
    names = {path: path.relative_to(parcel.root).as_posix() for path in parcel.paths}
    return sum(1 if name in refused else _entries(path) for path, name in names.items())


def _entries(path: Path) -> int:
    if not is_zipfile(path):
        return 1
    try:
        with ZipFile(path) as archive:
            return sum(not entry.is_dir() for entry in archive.infolist())
    except BadZipFile:
        return 1


def _by_urgency(reports: Iterable[Report]) -> dict[str, int]:
    counts = {"stat": 0, "urgent": 0, "routine": 0}
    for report in reports:
        counts[report.urgency.value] += 1
    return counts


def _difference(after: DashboardSummary, before: DashboardSummary) -> dict[str, int]:
    earlier = before.by_urgency.model_dump()
    return {name: count - earlier[name] for name, count in after.by_urgency.model_dump().items()}
