"""Cases with a known answer: logits of a model, labels of a reference standard, and what else was measured of them."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference_service.tools.errors import ToolError
from inference_service.tools.tables import Cell, Table, read_table

Float64Array = npt.NDArray[np.float64]

_REQUIRED = ("logit", "label")
_OPTIONAL = ("group", "heat_hit", "heat_inside")
_LEVEL = re.compile(r"level_(0|[1-9][0-9]*)")
_MAX_LEVEL = 255.0


@dataclass(frozen=True, slots=True)
class Cases:
    """One row an image; None where the column was not there."""

    logits_n: Float64Array
    """Finite."""
    labels_n: npt.NDArray[np.bool_]
    """True where the finding is present."""
    groups_n: npt.NDArray[np.str_] | None = None
    """Subgroup, such as the kind of finding; may be empty where the finding is absent."""
    heat_hits_n: Float64Array | None = None
    """1 where the hottest point of the Grad-CAM map lies in the lesion grown by one cell, 0 where not, NaN unknown."""
    heat_inside_n: Float64Array | None = None
    """Share, 0 to 1, of the map's heat that lies in the grown lesion, NaN unknown."""
    levels_nc: Float64Array | None = None
    """Mean level, 0 to 255, of each channel of the image as sent to the model."""


def read_cases(path: Path) -> Cases:
    """Read CSV, or Parquet where the file is called `.parquet`; `docs/bundles.md` describes the columns.

    Raises:
        ToolError: the file cannot be read, or a column or value is not what is asked for; says which row.
    """
    table = read_table(path, wanted=_is_wanted, text=frozenset({"group"}))
    for column in _REQUIRED:
        if column not in table.cells:
            raise ToolError(f"{path}: has no column {column}")
    if not table.rows:
        raise ToolError(f"{path}: has no cases")
    labels_n = _flags(table, "label", may_be_empty=False) == 1.0
    return Cases(
        logits_n=_numbers(table, "logit"),
        labels_n=labels_n,
        groups_n=_groups(table, labels_n),
        heat_hits_n=_of_positives(table, "heat_hit", labels_n),
        heat_inside_n=_of_positives(table, "heat_inside", labels_n),
        levels_nc=_levels(table),
    )


def _is_wanted(column: str) -> bool:
    return column in _REQUIRED or column in _OPTIONAL or _LEVEL.fullmatch(column) is not None


def _is_empty(cell: Cell) -> bool:
    if isinstance(cell, float):
        return math.isnan(cell)
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _fault(table: Table, row: int, column: str, asked: str) -> ToolError:
    cell = table.cells[column][row]
    written = "''" if cell is None else repr(cell)
    return ToolError(f"{table.place(row)}: {column} is {written}, not {asked}")


def _numbers(
    table: Table,
    column: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    asked: str = "a finite number",
    may_be_empty: bool = False,
) -> Float64Array:
    """Finite numbers from `low` to `high`, inclusive; NaN for empty cells where those are allowed."""
    numbers_n = np.empty(len(table.rows))
    for row, cell in enumerate(table.cells[column]):
        if may_be_empty and _is_empty(cell):
            numbers_n[row] = math.nan
            continue
        try:
            number = math.nan if cell is None or isinstance(cell, bool) else float(cell)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and low <= number <= high):
            raise _fault(table, row, column, asked)
        numbers_n[row] = number
    return numbers_n


def _flags(table: Table, column: str, *, may_be_empty: bool) -> Float64Array:
    """1 or 0 (in Parquet also true or false); NaN for empty cells where those are allowed."""
    flags_n = np.empty(len(table.rows))
    for row, cell in enumerate(table.cells[column]):
        value = cell.strip() if isinstance(cell, str) else cell
        if may_be_empty and _is_empty(cell):
            flags_n[row] = math.nan
        elif value in ("0", "1", 0, 1):
            flags_n[row] = float(value)
        else:
            raise _fault(table, row, column, "0 or 1")
    return flags_n


def _groups(table: Table, labels_n: npt.NDArray[np.bool_]) -> npt.NDArray[np.str_] | None:
    if "group" not in table.cells:
        return None
    groups = [" ".join(str(cell or "").split()) for cell in table.cells["group"]]
    for row, (group, label) in enumerate(zip(groups, labels_n.tolist(), strict=True)):
        if label and not group:
            raise ToolError(f"{table.place(row)}: group is empty for a positive case")
    return np.array(groups, np.str_)


def _of_positives(table: Table, column: str, labels_n: npt.NDArray[np.bool_]) -> Float64Array | None:
    """Flags of `heat_hit` or shares of `heat_inside`, which only cases with the finding can have."""
    if column not in table.cells:
        return None
    if column == "heat_hit":
        values_n = _flags(table, column, may_be_empty=True)
    else:
        values_n = _numbers(table, column, low=0.0, high=1.0, asked="a share from 0 to 1", may_be_empty=True)
    astray = np.flatnonzero(~np.isnan(values_n) & ~labels_n)
    if len(astray):
        raise ToolError(f"{table.place(int(astray[0]))}: {column} is given, but label is 0: there is no lesion to hit")
    return values_n


def _levels(table: Table) -> Float64Array | None:
    count = sum(_LEVEL.fullmatch(column) is not None for column in table.cells)
    if not count:
        return None
    columns = [f"level_{channel}" for channel in range(count)]
    for column in columns:
        if column not in table.cells:
            raise ToolError(f"{table.path}: has {count} columns of levels, but no {column}")
    asked = "a level from 0 to 255"
    return np.stack([_numbers(table, column, low=0.0, high=_MAX_LEVEL, asked=asked) for column in columns], axis=1)
