"""Progress of several things at once: bars on a terminal, lines elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

URGENCY_STYLES = {"stat": "bold red", "urgent": "yellow", "routine": "green"}
"""How rich shows an urgency, on every screen alike."""


class Bars:
    """Use as a context manager around the time in which bars move.

    Args:
        console: where they are shown.
        name_width: characters for the names of the bars.
        bar_width: characters for the bars themselves.
    """

    def __init__(self, console: Console, *, name_width: int, bar_width: int) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn(f"[bold]{{task.description:<{name_width}}}"),
            BarColumn(bar_width=bar_width),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        for task in self._tasks.values():
            self._progress.remove_task(task)
        self._tasks.clear()

    def step(self, name: str, done: int, total: int, figures: str) -> None:
        """Show how far something is: its bar, or without a terminal a line at every tenth and at each end.

        More may come after an end; no line comes twice.
        """
        if self._console.is_terminal:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=total, figures=figures)
            self._progress.update(self._tasks[name], completed=done, total=total, figures=figures)
            return
        line = f"{name}: {10 * done // total * 10 if total else 100}%"
        news = f"{line} ({figures})" if done == total else line
        if self._said.get(name) != news:
            self._said[name] = news
            self._console.print(f"{line} ({figures})", highlight=False)
