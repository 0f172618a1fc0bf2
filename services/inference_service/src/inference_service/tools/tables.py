"""Columns of a CSV or Parquet file, before anything is made of their values."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from inference_service.tools.errors import ToolError

Cell = str | int | float | None
"""Text in CSV; in Parquet what the column holds, None where it is null."""


@dataclass(frozen=True, slots=True)
class Table:
    """Some columns of a file, and how to name a row of it to a person."""

    path: Path
    cells: dict[str, list[Cell]]
    """By column; every list has one cell a row."""
    rows: tuple[str, ...]
    """What each row is called, such as `line 3`."""

    def place(self, row: int) -> str:
        """File and row, for a message; rows count from 0."""
        return f"{self.path}, {self.rows[row]}"


def read_table(path: Path, *, wanted: Callable[[str], bool], text: frozenset[str] = frozenset()) -> Table:
    """Read the wanted columns of Parquet, if the file is called so, else of CSV.

    Args:
        path: `.parquet` for Parquet.
        wanted: says of a column's name whether it is read.
        text: columns that hold text; all others hold numbers (Parquet: integers, floats or booleans).

    Raises:
        ToolError: the file cannot be read, is not of its format, or has a wanted column twice or of another type.
    """
    try:
        return _read_parquet(path, wanted, text) if path.suffix.lower() == ".parquet" else _read_csv(path, wanted)
    except OSError as error:
        raise ToolError(f"{path}: cannot be read: {error.strerror or error}") from error


def _read_csv(path: Path, wanted: Callable[[str], bool]) -> Table:
    cells: dict[str, list[Cell]] = {}
    rows: list[str] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = [name for name in reader.fieldnames or () if wanted(name)]
            _refuse_repeats(path, names)
            cells = {name: [] for name in names}
            for row in reader:
                rows.append(f"line {reader.line_num}")
                for name, column in cells.items():
                    column.append(row[name])
    except (UnicodeDecodeError, csv.Error) as error:
        raise ToolError(f"{path}: is not CSV in UTF-8: {error}") from error
    return Table(path, cells, tuple(rows))


def _read_parquet(path: Path, wanted: Callable[[str], bool], text: frozenset[str]) -> Table:
    with path.open("rb") as file:
        try:
            parquet = pq.ParquetFile(file)
            names = [name for name in parquet.schema_arrow.names if wanted(name)]
            _refuse_repeats(path, names)
            table = parquet.read(columns=names)
        except (pa.ArrowException, OSError) as error:  # what pyarrow raises on damaged pages
            raise ToolError(f"{path}: is not a Parquet file, or damaged: {error}") from error
    for field in table.schema:
        if not (_is_text(field.type) if field.name in text else _is_number(field.type)):
            kind = "text" if field.name in text else "numbers"
            raise ToolError(f"{path}: column {field.name} holds {field.type}, not {kind}")
    return Table(
        path,
        {name: table.column(name).to_pylist() for name in names},
        tuple(f"row {row + 1}" for row in range(table.num_rows)),
    )


def _is_text(type_: pa.DataType) -> bool:
    if pa.types.is_dictionary(type_):
        return _is_text(type_.value_type)
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_null(type_))


def _is_number(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(type_)
        or pa.types.is_floating(type_)
        or pa.types.is_boolean(type_)
        or pa.types.is_null(type_)
    )


def _refuse_repeats(path: Path, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ToolError(f"{path}: has {names.count(name)} columns {name}")
