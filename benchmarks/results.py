"""What a benchmark found, as it is kept in `results/*.json`."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(_Kept):
    """Repeats of one measurement."""

    median: float
    least: float
    most: float
    repeats: Annotated[int, Field(ge=1)]

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """The spread of at least one value."""
        return cls(median=median(values), least=min(values), most=max(values), repeats=len(values))


class Figure(_Kept):
    """One measured quantity, with its target where it has one."""

    what: str
    unit: str
    """`ratio` for a ratio of two measurements of the same run."""
    value: Spread
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the median meets the target; None without one."""
        if self.at_most is not None:
            return self.value.median <= self.at_most
        return None if self.at_least is None else self.value.median >= self.at_least


class Table(_Kept):
    """Measurements that explain the figures."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]


class Run(_Kept):
    """Everything measured in one setting."""

    setting: str
    """A heading, such as `On cpu: openvino 2026.4.1 cpu bfloat16`."""
    subject: str
    """What was measured: a model bundle, or which processes."""
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...]


class Machine(_Kept):
    """Where it was measured."""

    cpu: str
    cores: int
    memory_gib: float
    gpu: str | None
    system: str
    libraries: dict[str, str]
    """Version by name."""


class Results(_Kept):
    """One execution of a benchmark."""

    benchmark: str
    command: str
    commit: str
    """Git's name of the version; ends in `-dirty` where files differed from it."""
    started_at: AwareDatetime
    finished_at: datetime
    load_average: float
    """Of the minute before the start; what else runs on the machine spoils the figures."""
    machine: Machine
    runs: tuple[Run, ...]
    skipped: tuple[str, ...]
    """What was not measured, and why."""

    def save(self, path: Path) -> None:
        """Write the results, replacing earlier ones."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
