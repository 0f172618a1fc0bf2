"""Cases with a known answer: logits of a model and labels of a reference standard."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference_service.tools.errors import ToolError

_COLUMNS = ("logit", "label")


@dataclass(frozen=True, slots=True)
class Cases:
    """One row an image."""

    logits_n: npt.NDArray[np.float64]
    """Finite."""
    labels_n: npt.NDArray[np.bool_]
    """True where the finding is present."""


def read_cases(path: Path) -> Cases:
    """Read a CSV with the columns `logit` (finite) and `label` (0 or 1); others are ignored.

    Raises:
        ToolError: the file cannot be read, or a column or value is not what is asked for; says which line.
    """
    logits: list[float] = []
    labels: list[bool] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            for column in _COLUMNS:
                if column not in (rows.fieldnames or ()):
                    raise ToolError(f"{path}: has no column {column}")
            for row in rows:
                logit, label = _parse(row, f"{path}, line {rows.line_num}")
                logits.append(logit)
                labels.append(label)
    except OSError as error:
        raise ToolError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ToolError(f"{path}: is not CSV in UTF-8: {error}") from error
    return Cases(np.array(logits, np.float64), np.array(labels, np.bool_))


def _parse(row: Mapping[str, str | None], place: str) -> tuple[float, bool]:
    written, label = row["logit"] or "", (row["label"] or "").strip()
    try:
        logit = float(written)
    except ValueError:
        logit = math.nan
    if not math.isfinite(logit):
        raise ToolError(f"{place}: logit is {written!r}, not a finite number")
    if label not in {"0", "1"}:
        raise ToolError(f"{place}: label is {label!r}, not 0 or 1")
    return logit, label == "1"
