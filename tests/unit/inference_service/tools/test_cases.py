"""Cases are read alike from CSV and Parquet, and what is wrong with them is said with its place."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inference_service.tools.cases import read_cases
from inference_service.tools.errors import ToolError

COLUMNS: dict[str, list[object]] = {
    "case": ["a", "b", "c"],
    "logit": [1.5, -2.0, 0.25],
    "label": [1, 0, 1],
    "group": ["subdural", None, "epidural"],
    "heat_hit": [1, None, None],
    "heat_inside": [0.75, None, None],
    "level_0": [10.0, 20.0, 255.0],
    "level_1": [0.0, 1.5, 2.0],
}


def write_csv(path: Path, columns: dict[str, list[object]]) -> Path:
    rows = zip(*columns.values(), strict=True)
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
    path.write_text("\n".join([",".join(columns), *lines]) + "\n")
    return path


def write_parquet(path: Path, columns: dict[str, list[object]]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


WRITERS = {"cases.csv": write_csv, "cases.parquet": write_parquet, "CASES.PARQUET": write_parquet}


@pytest.mark.parametrize("name", WRITERS)
def test_every_column_is_read(tmp_path: Path, name: str) -> None:
    cases = read_cases(WRITERS[name](tmp_path / name, COLUMNS))
    assert cases.logits_n.tolist() == [1.5, -2.0, 0.25]
    assert cases.labels_n.tolist() == [True, False, True]
    assert cases.groups_n is not None
    assert cases.groups_n.tolist() == ["subdural", "", "epidural"]
    np.testing.assert_array_equal(cases.heat_hits_n, [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(cases.heat_inside_n, [0.75, np.nan, np.nan])
    np.testing.assert_array_equal(cases.levels_nc, [[10.0, 0.0], [20.0, 1.5], [255.0, 2.0]])


@pytest.mark.parametrize("name", WRITERS)
def test_a_column_that_is_not_there_is_none(tmp_path: Path, name: str) -> None:
    cases = read_cases(WRITERS[name](tmp_path / name, {key: COLUMNS[key] for key in ("logit", "label")}))
    assert (cases.groups_n, cases.heat_hits_n, cases.heat_inside_n, cases.levels_nc) == (None, None, None, None)


@pytest.mark.parametrize(
    "columns",
    [
        {"logit": pa.array([1, 2], pa.int8()), "label": pa.array([True, False])},
        {"logit": pa.array([1.0, 2.0], pa.float16()), "label": pa.array([1.0, 0.0])},
        {
            "logit": pa.array([1.0, 2.0], pa.float32()),
            "label": pa.array([1, 0], pa.uint8()),
            "group": pa.array(["x", None]).dictionary_encode(),
            "heat_hit": pa.array([True, None]),
            "heat_inside": pa.array([float("nan")] * 2),
        },
    ],
)
def test_parquet_may_hold_numbers_of_any_width(tmp_path: Path, columns: dict[str, pa.Array]) -> None:
    pq.write_table(pa.table(columns), tmp_path / "cases.parquet")
    cases = read_cases(tmp_path / "cases.parquet")
    assert cases.logits_n.tolist() == [1.0, 2.0]
    assert cases.labels_n.tolist() == [True, False]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"logit": [1.0, float("nan"), 2.0]}, "{row2}: logit is {nan}, not a finite number"),
        ({"logit": [1.0, None, 2.0]}, "{row2}: logit is '', not a finite number"),
        ({"label": [1, 0, 2]}, "{row3}: label is {two}, not 0 or 1"),
        ({"group": ["subdural", None, None]}, "{row3}: group is empty for a positive case"),
        ({"heat_hit": [0.5, None, None]}, "{row1}: heat_hit is {half}, not 0 or 1"),
        ({"heat_hit": [1, 1, None]}, "{row2}: heat_hit is given, but label is 0"),
        ({"heat_inside": [1.5, None, None]}, "{row1}: heat_inside is {more}, not a share from 0 to 1"),
        ({"heat_inside": [None, 0.5, None]}, "{row2}: heat_inside is given, but label is 0"),
        ({"level_1": [0.0, 256.0, 1.0]}, "{row2}: level_1 is {bright}, not a level from 0 to 255"),
        ({"level_1": [0.0, None, 1.0]}, "{row2}: level_1 is '', not a level from 0 to 255"),
    ],
)
@pytest.mark.parametrize("name", ["cases.csv", "cases.parquet"])
def test_a_bad_value_is_named_with_its_row(
    tmp_path: Path, name: str, change: dict[str, list[object]], said: str
) -> None:
    path = WRITERS[name](tmp_path / name, COLUMNS | change)
    quote = "'" if path.suffix == ".csv" else ""
    values = {"nan": "nan", "two": "2", "half": "0.5", "more": "1.5", "bright": "256.0"}
    row, first = ("line", 2) if path.suffix == ".csv" else ("row", 1)
    rows = {f"row{number + 1}": f"{path}, {row} {first + number}" for number in range(3)}
    with pytest.raises(ToolError) as raised:
        read_cases(path)
    expected = said.format(**rows, **{key: f"{quote}{value}{quote}" for key, value in values.items()})
    assert str(raised.value).startswith(expected)


@pytest.mark.parametrize("name", ["cases.csv", "cases.parquet"])
@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (("label",), "has no column logit"),
        (("logit", "group"), "has no column label"),
        (("logit", "label", "level_1"), "has 1 columns of levels, but no level_0"),
    ],
)
def test_a_missing_column_is_named(tmp_path: Path, name: str, columns: tuple[str, ...], said: str) -> None:
    path = WRITERS[name](tmp_path / name, {key: COLUMNS[key] for key in columns})
    with pytest.raises(ToolError, match=f"{name}: {said}"):
        read_cases(path)


@pytest.mark.parametrize("name", ["cases.csv", "cases.parquet"])
def test_columns_without_rows_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".csv"):
        path.write_text("logit,label\n")
    else:
        pq.write_table(pa.table({"logit": pa.array([], pa.float64()), "label": pa.array([], pa.int8())}), path)
    with pytest.raises(ToolError, match=f"{name}: has no cases"):
        read_cases(path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cases.csv", None, "cannot be read: No such file"),
        ("cases.parquet", None, "cannot be read: No such file"),
        ("cases.csv", b"", "has no column logit"),
        ("cases.parquet", b"", "is not a Parquet file, or damaged"),
        ("cases.parquet", b"logit,label\n1,1\n", "is not a Parquet file, or damaged"),
        ("cases.csv", b"PAR1\xff\xff", "is not CSV in UTF-8"),
        ("cases.csv", b"logit,label,logit\n1,1,1\n", "has 2 columns logit"),
    ],
)
def test_a_file_that_is_no_table_is_named(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ToolError, match=f"{name}: {said}"):
        read_cases(path)


def test_damaged_pages_of_parquet_are_a_plain_message(tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    rows = 4096
    pq.write_table(pa.table({"logit": np.random.default_rng(0).random(rows), "label": np.ones(rows, np.int8)}), path)
    content = bytearray(path.read_bytes())
    content[4:200] = b"\xff" * 196
    path.write_bytes(content)
    with pytest.raises(ToolError, match="is not a Parquet file, or damaged"):
        read_cases(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"logit": ["1.5", "2", "3"]}, "column logit holds string, not numbers"),
        ({"label": ["0", "1", "1"]}, "column label holds string, not numbers"),
        ({"logit": [[1.0], [2.0], [3.0]]}, "column logit holds list<element: double>, not numbers"),
        ({"group": [1, 2, 3]}, "column group holds int64, not text"),
    ],
)
def test_a_parquet_column_of_another_type_is_named(tmp_path: Path, change: dict[str, list[object]], said: str) -> None:
    path = write_parquet(tmp_path / "cases.parquet", COLUMNS | change)
    with pytest.raises(ToolError) as raised:
        read_cases(path)
    assert str(raised.value) == f"{path}: {said}"


def test_two_parquet_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["logit", "logit"]), path)
    with pytest.raises(ToolError, match="has 2 columns logit"):
        read_cases(path)


def test_true_is_no_logit(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "cases.parquet", {"logit": [True], "label": [1]})
    with pytest.raises(ToolError, match="row 1: logit is True, not a finite number"):
        read_cases(path)
