"""The audit chain and what shows in it."""

import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from ingest_service.adapters.records import CHAIN as INGEST_CHAIN
from radrelay_shared.audit import GENESIS_HASH, AuditFact, AuditRecord, FaultKind, Head, Verification, chain
from report_service.adapters.postgres import CHAIN as REPORT_CHAIN

NOW = datetime(2026, 3, 14, 9, 30, 15, 123456, tzinfo=UTC)
BATCH = UUID("11111111-2222-4333-8444-555555555555")

Found = list[tuple[FaultKind, int]]


def chain_of(length: int, *, actor: str = "ada") -> list[AuditRecord]:
    records: list[AuditRecord] = []
    for number in range(length):
        fact = AuditFact("north", actor, "file.accepted", NOW + timedelta(seconds=number), BATCH, BATCH, "ab" * 32)
        records.append(chain(fact, records[-1] if records else None))
    return records


def faults(records: list[AuditRecord], *heads: Head) -> Found:
    verification = Verification(heads)
    for record in records:
        verification.add(record)
    verification.finish()
    return [(fault.kind, fault.sequence) for fault in verification.faults]


def head_of(record: AuditRecord) -> Head:
    return Head(record.sequence, record.hash)


def test_an_untouched_chain_holds() -> None:
    records = chain_of(5)
    assert faults(records) == faults(records, head_of(records[2]), head_of(records[4])) == []
    assert faults([]) == []
    assert records[0].prev_hash == GENESIS_HASH
    assert [record.sequence for record in records] == [1, 2, 3, 4, 5]


def test_the_report_that_a_record_names_is_covered_by_its_hash() -> None:
    one, other = (UUID(int=number) for number in (1, 2))
    (record,) = chain_of(1)
    named = chain(dataclasses.replace(record.fact, report_id=one), None)
    assert faults([named]) == []
    for report_id in (None, other):
        forged = dataclasses.replace(named, fact=dataclasses.replace(named.fact, report_id=report_id))
        assert faults([forged]) == [(FaultKind.EDITED, 1)]
    forged = dataclasses.replace(record, fact=dataclasses.replace(record.fact, report_id=one))
    assert faults([forged]) == [(FaultKind.EDITED, 1)]


def test_a_chain_refuses_a_fact_that_it_could_not_keep_whole() -> None:
    record = chain(dataclasses.replace(chain_of(1)[0].fact, report_id=BATCH), None)
    with pytest.raises(ValueError, match="keeps no report_id"):
        INGEST_CHAIN.values_of(record)
    assert REPORT_CHAIN.values_of(record)["report_id"] == BATCH


def test_the_hash_of_a_record_is_what_it_was_in_every_version() -> None:
    (record,) = chain_of(1)
    assert record.hash == "34940d6356b79ff93de66bad894e804581b34a7fa3c2ed61af8c5299281baf08"


def test_the_zone_in_which_a_time_is_read_back_changes_nothing() -> None:
    (record,) = chain_of(1)
    elsewhere = dataclasses.replace(record.fact, at=record.fact.at.astimezone(timezone(timedelta(hours=5, minutes=30))))
    assert faults([dataclasses.replace(record, fact=elsewhere)]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "south"},
        {"actor": "eve"},
        {"action": "file.rejected"},
        {"at": NOW},
        {"instance_id": None},
        {"reason": "x"},
    ],
)
def test_an_edited_record_shows(change: dict[str, object]) -> None:
    records = chain_of(5)
    records[2] = dataclasses.replace(records[2], fact=dataclasses.replace(records[2].fact, **change))  # type: ignore[arg-type]  # one field each
    assert faults(records) == [(FaultKind.EDITED, 3)]


def test_an_edited_record_with_a_new_hash_shows_at_the_next() -> None:
    records = chain_of(5)
    records[2] = chain(dataclasses.replace(records[2].fact, actor="eve"), records[1])
    assert faults(records) == [(FaultKind.UNLINKED, 4)]


def test_a_removed_record_shows_and_so_does_each_of_several_breaks() -> None:
    records = chain_of(9)
    assert faults(records[:2] + records[3:]) == [(FaultKind.MISSING, 3)]
    assert faults(records[1:]) == [(FaultKind.MISSING, 1)]
    assert faults([*records[:2], *records[4:6], *records[7:]]) == [(FaultKind.MISSING, 3), (FaultKind.MISSING, 7)]


def test_a_swapped_and_a_repeated_record_show() -> None:
    records = chain_of(5)
    assert (FaultKind.OUT_OF_ORDER, 2) in faults([records[0], records[2], records[1], *records[3:]])
    assert faults([*records[:2], records[1], *records[2:]]) == [(FaultKind.OUT_OF_ORDER, 2)]
    renumbered = [dataclasses.replace(records[2], sequence=2), dataclasses.replace(records[1], sequence=3)]
    assert faults([records[0], *renumbered, *records[3:]])[0] == (FaultKind.UNLINKED, 2)


def test_a_cut_tail_shows_by_a_published_head_alone() -> None:
    records = chain_of(5)
    assert faults(records[:3]) == []
    assert faults(records[:3], head_of(records[4])) == [(FaultKind.TAIL_CUT, 4)]
    assert faults([], head_of(records[4])) == [(FaultKind.TAIL_CUT, 1)]


def test_a_chain_computed_anew_shows_at_the_first_head_that_it_does_not_hold() -> None:
    records, forged = chain_of(5), chain_of(5, actor="eve")
    rewritten = records[:2]
    for record in forged[2:]:
        rewritten.append(chain(record.fact, rewritten[-1]))
    assert faults(rewritten) == faults(rewritten, head_of(records[1])) == []
    heads = [head_of(records[number]) for number in (1, 3)]
    assert faults(rewritten, *heads) == [(FaultKind.REWRITTEN, 4)]
    # A head that the forger published for the new chain does not make the old one unsaid.
    assert faults(rewritten, *heads, head_of(rewritten[3])) == [(FaultKind.REWRITTEN, 4)]
