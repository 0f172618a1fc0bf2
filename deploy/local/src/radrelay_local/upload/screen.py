"""What `radrelay upload` and `radrelay watch` show: progress on stderr, the summary on stdout."""

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from radrelay_local.client.answers import Batch, BatchState
from radrelay_local.client.progress import URGENCY_STYLES, Bars
from radrelay_local.upload.outcome import Outcome, by_reason

NAMES_SHOWN = 20


class Screen:
    """Progress and summary. Use it as a context manager around the time in which bars move."""

    def __init__(self, out: Console | None = None, progress: Console | None = None) -> None:
        self._out = out or Console(highlight=False, soft_wrap=True)
        self._progress = progress or Console(stderr=True, highlight=False)
        self._bars = Bars(self._progress, name_width=10, bar_width=18)

    def __enter__(self) -> Self:
        self._bars.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.__exit__(kind, error, trace)

    def say(self, text: str) -> None:
        """Print a line beside the bars."""
        self._progress.print(escape(text), soft_wrap=True)

    def sending(self, sent_bytes: int, size_bytes: int) -> None:
        """Show how many bytes are sent."""
        figures = f"{sent_bytes / 1e6:.1f} of {size_bytes / 1e6:.1f} MB"
        self._bars.step("sending", min(sent_bytes, size_bytes), size_bytes, figures)

    def processing(self, batch: Batch) -> None:
        """Show how far a batch is."""
        counts = batch.counts
        accepted = counts.received - counts.rejected
        ended = counts.reported + counts.failed
        figures = f"{ended} of {accepted}, {counts.failed} failed, {counts.rejected} rejected"
        # Nothing accepted is no work, and done only when the batch is.
        total = max(accepted, 1)
        self._bars.step("processing", total if batch.state is BatchState.DONE else ended, total, figures)

    def summary(self, outcome: Outcome) -> None:
        """Print what became of a batch, and the names of what was not screened."""
        batch = outcome.batch
        label = f" '{escape(batch.label)}'" if batch.label else ""
        self._out.print(f"Batch {batch.batch_id}{label}: {batch.state.value}, after {outcome.seconds:.1f} s")
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column()
        table.add_column(justify="right")
        for what, number in _rows(outcome):
            table.add_row(what, str(number))
        self._out.print(table)
        self._names("rejected", [(each.name, each.reason, each.detail) for each in outcome.rejected])
        self._names("failed", [(each.name, each.reason, each.detail) for each in outcome.failed])
        self._names("not sent", [(each.name, each.reason, each.detail) for each in outcome.skipped])

    def _names(self, what: str, files: list[tuple[str, str | None, str | None]]) -> None:
        for name, reason, detail in files[:NAMES_SHOWN]:
            self._out.print(f"{what} {escape(name)}: [yellow]{reason}[/], {escape(detail or '')}")
        if len(files) > NAMES_SHOWN:
            self._out.print(f"and {len(files) - NAMES_SHOWN} more {what}")


def _rows(outcome: Outcome) -> Iterable[tuple[str, int]]:
    counts = outcome.batch.counts
    yield "accepted", counts.received - counts.rejected
    if outcome.shipment:
        yield "  of them here before", outcome.shipment.repeated
    yield "rejected", counts.rejected
    for reason, number in by_reason(outcome.rejected).items():
        yield f"  [yellow]{reason}[/]", number
    yield "failed", counts.failed
    for reason, number in by_reason(outcome.failed).items():
        yield f"  [yellow]{reason}[/]", number
    yield "reported", counts.reported
    if outcome.reports:
        for urgency, number in outcome.reports.by_urgency.items():
            yield f"  [{URGENCY_STYLES[urgency]}]{urgency}[/]", number
        if outcome.reports.in_earlier_batches:
            yield "  in earlier batches", outcome.reports.in_earlier_batches
    if counts.queued + counts.processing:
        yield "still processing", counts.queued + counts.processing
