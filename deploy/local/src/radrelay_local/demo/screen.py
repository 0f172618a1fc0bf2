"""What the demo shows while it runs: bars on a terminal, lines elsewhere."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.table import Table

from radrelay_local.client.answers import Batch, Report
from radrelay_local.client.progress import URGENCY_STYLES, Bars
from radrelay_local.demo.samples import Parcel
from radrelay_local.demo.summary import DashboardCheck, Delivered, IsolationCheck

PLAIN_WIDTH = 140
REPORTS_SHOWN = 15


class Screen:
    """Progress and tables. Use it as a context manager around the time in which bars move."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        if not self._console.is_terminal:
            self._console = console or Console(width=PLAIN_WIDTH)
        self._bars = Bars(self._console, name_width=38, bar_width=32)

    def __enter__(self) -> Self:
        self._bars.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.__exit__(kind, error, trace)

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text)

    def heading(self, text: str) -> None:
        """Begin a part."""
        self._console.print(f"\n[bold cyan]{text}[/]")

    def preparing(self, done: int, total: int) -> None:
        """Show how many sample files are written."""
        self._bars.step("writing samples", done, total, f"{done} of {total}")

    def sending(self, parcel: Parcel, sent_bytes: int) -> None:
        """Show how much of a parcel is sent."""
        total = parcel.size_bytes
        figures = f"{sent_bytes / 1e6:.1f} of {total / 1e6:.1f} MB"
        self._bars.step(f"sending    {parcel.label}", min(sent_bytes, total), total, figures)

    def processing(self, parcel: Parcel, batch: Batch) -> None:
        """Show how far a batch is."""
        counts = batch.counts
        finished = counts.reported + counts.failed
        waiting = counts.queued + counts.processing
        figures = f"{counts.reported} reported, {counts.failed} failed, {counts.rejected} refused, {waiting} to go"
        self._bars.step(f"processing {parcel.label}", finished, max(finished + waiting, 1), figures)

    def batches(self, delivered: Sequence[Delivered]) -> None:
        """Show each batch's outcome, and why files were refused or failed."""
        table = Table("batch", "who", "sent", "accepted", "refused", "reports", "failed", "seconds", "cases/s")
        for batch in delivered:
            figures = batch.to_json()
            table.add_row(
                figures["label"],
                f"{figures['tenant']}/{figures['user']}",
                str(figures["files_sent"]),
                str(figures["accepted"]),
                str(len(figures["rejected"])),
                str(figures["reports"]),
                str(len(figures["failures"])),
                f"{figures['seconds']:.1f}",
                f"{figures['cases_per_second']:.2f}",
            )
        self._console.print(table)
        for batch in delivered:
            for rejected in batch.receipt.rejected:
                self._console.print(f"  refused {rejected.name}: [yellow]{rejected.reason}[/], {rejected.detail}")
            for file in batch.failures:
                self._console.print(f"  failed  {file.name}: [yellow]{file.reason}[/], {file.detail}")

    def reports(self, who: str, reports: Sequence[Report]) -> None:
        """Show one user's reports, most urgent first, with the model's label."""
        if not reports:
            self._console.print(f"{who}: no reports")
            return
        title = f"{who}: {len(reports)} reports, most urgent first"
        table = Table("urgency", "finding", "", "probability", "confidence", "image", "report", title=title)
        for report in reports[:REPORTS_SHOWN]:
            urgency = report.urgency.value
            table.add_row(
                f"[{URGENCY_STYLES[urgency]}]{urgency}[/]",
                report.finding,
                "positive" if report.positive else "negative",
                f"{report.probability:.3f}",
                f"{report.confidence:.3f}",
                f"{report.modality} {report.body_part or ''}".strip(),
                str(report.report_id),
            )
        self._console.print(table)
        if len(reports) > REPORTS_SHOWN:
            self._console.print(f"  and {len(reports) - REPORTS_SHOWN} more")
        for model in {report.model.digest: report for report in reports}.values():
            label = f"{model.model.name} {model.model.version}, {model.model.label}"
            self._console.print(f"  model {label}. [bold red]{model.notice}[/]")

    def dashboards(self, checks: Sequence[DashboardCheck]) -> None:
        """Show the dashboards, and whether they grew by what was sent."""
        table = Table(
            "who", "scope", "cases", "positive", "rate", "confidence", "failed", "stat/urgent/routine", "agrees"
        )
        for check in checks:
            figures = check.after
            urgency = figures.by_urgency
            table.add_row(
                f"{check.user.tenant}/{check.user.name}",
                check.scope,
                str(figures.total_cases),
                str(figures.positive_cases),
                _share(figures.positivity_rate),
                _share(figures.average_confidence),
                str(figures.failed_cases),
                f"{urgency.stat}/{urgency.urgent}/{urgency.routine}",
                "[green]yes[/]" if not check.problems() else "[bold red]no[/]",
            )
        self._console.print(table)

    def isolation(self, checks: Sequence[IsolationCheck]) -> None:
        """Show what another tenant's user gets."""
        for check in checks:
            good = not check.problems()
            colour = "green" if good else "bold red"
            who = f"{check.user.tenant}/{check.user.name}"
            self._console.print(f"  {who} asks for {check.asked_for}: [{colour}]HTTP {check.status}[/]")

    def problems(self, problems: Sequence[str]) -> None:
        """Show what does not agree."""
        for problem in problems:
            self._console.print(f"[bold red]MISMATCH[/] {problem}")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
