"""Objects and rows side by side."""

import tracemalloc
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest

from ingest_service.domain.reconciling import Fault, FindingKind, ObjectRecord, Shelf
from ingest_service.handlers.comparing import compare, row_id_of, side_by_side
from ingest_service.handlers.reconciling import Reconciler
from radrelay_shared.database import Scope
from radrelay_shared.objects import ObjectStat, keys

T = TypeVar("T")
NOW = datetime(2026, 11, 24, tzinfo=UTC)
OLD = NOW - timedelta(days=2)
GRACE = NOW - timedelta(days=1)
ROW_ID = UUID(int=7)
KEY = keys.instance("north", ROW_ID)


def found(key: str = KEY, size_bytes: int = 3, modified_at: datetime = OLD) -> ObjectStat:
    return ObjectStat(key, size_bytes, "tag", None, modified_at)


def record(key: str = KEY, *, given_up: bool = False) -> ObjectRecord:
    return ObjectRecord(ROW_ID, key, 3, "digest", given_up)


@pytest.mark.parametrize(
    ("stat", "row", "kind", "fault"),
    [
        (found(), record(), None, None),
        (found(), None, FindingKind.ORPHAN, None),
        (found(modified_at=GRACE), None, None, None),
        (None, record(), FindingKind.DANGLING, Fault.MISSING),
        (found(size_bytes=2), record(), FindingKind.DANGLING, Fault.SIZE),
        (None, record(given_up=True), None, None),
        (found(), record(given_up=True), FindingKind.RESTORED, None),
        (found(size_bytes=2), record(given_up=True), FindingKind.DANGLING, Fault.SIZE),
    ],
)
def test_what_follows_from_an_object_and_its_row(
    stat: ObjectStat | None, row: ObjectRecord | None, kind: FindingKind | None, fault: Fault | None
) -> None:
    finding = compare("north", Shelf.INSTANCES, stat, row, GRACE)
    assert (finding and finding.kind, finding and finding.fault) == (kind, fault)


@pytest.mark.parametrize("stat", [None, found(), found(size_bytes=2)])
def test_a_rejected_file_whose_time_has_passed_is_the_sweepers(stat: ObjectStat | None) -> None:
    assert compare("north", Shelf.REJECTED, stat, record(given_up=True), GRACE) is None


@pytest.mark.parametrize(
    ("shelf", "key", "row_id"),
    [
        (Shelf.INSTANCES, KEY, ROW_ID),
        (Shelf.REJECTED, keys.rejected("north", ROW_ID), ROW_ID),
        (Shelf.INSTANCES, KEY.removesuffix(".dcm"), None),
        (Shelf.INSTANCES, KEY.replace("-", ""), None),
        (Shelf.INSTANCES, "north/instances/{}.dcm", None),
        (Shelf.REJECTED, f"{keys.rejected('north', ROW_ID)}.dcm", None),
    ],
)
def test_only_a_key_of_ours_names_a_row(shelf: Shelf, key: str, row_id: UUID | None) -> None:
    assert row_id_of(shelf, "north", key) == row_id


async def each_of(items: Iterable[T]) -> AsyncIterator[T]:
    for item in items:
        yield item


async def test_what_has_the_same_key_comes_together_and_all_else_alone() -> None:
    objects, rows = each_of(found(key) for key in "acde"), each_of(record(key) for key in "abdfg")
    pairs = [(stat and stat.key, row and row.key) async for stat, row in side_by_side(objects, rows)]
    assert pairs == [
        ("a", "a"),
        (None, "b"),
        ("c", None),
        ("d", "d"),
        ("e", None),
        (None, "f"),
        (None, "g"),
    ]


class Rows:
    """The rows of every second of so many images, made as they are asked for."""

    def __init__(self, number: int) -> None:
        self._number = number

    @asynccontextmanager
    async def transaction(self, _: Scope) -> AsyncIterator["Rows"]:
        yield self

    async def object_records(self, shelf: Shelf, after: UUID | None, limit: int) -> Sequence[ObjectRecord]:
        if shelf is Shelf.REJECTED:
            return []
        first = after.int + 2 if after else 0
        ids = [UUID(int=number) for number in range(first, min(self._number, first + 2 * limit), 2)]
        return [ObjectRecord(row_id, keys.instance("north", row_id), 3, "digest", is_given_up=False) for row_id in ids]


class Objects:
    """The objects of so many images, made as they are asked for."""

    def __init__(self, number: int) -> None:
        self._number = number

    async def list_objects(self, prefix: str) -> AsyncIterator[ObjectStat]:
        for number in range(self._number if prefix == keys.instances("north") else 0):
            yield found(keys.instance("north", UUID(int=number)))


async def test_memory_does_not_grow_with_what_is_stored() -> None:
    async def peak_bytes(number: int) -> int:
        rows: Any = Rows(number)
        objects: Any = Objects(number)
        reconciler = Reconciler(rows, objects, lambda: Path("unused"), grace_s=0, verify=False, page=100)
        tracemalloc.start()
        try:
            result = await reconciler.find("north", most=10)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert (result.objects, result.records, result.found) == (number, number // 2, number // 2)
        assert len(result.findings) == 10
        return peak

    assert await peak_bytes(10_000) < 1.5 * await peak_bytes(1000)
