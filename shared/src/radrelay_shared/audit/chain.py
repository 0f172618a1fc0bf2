"""The audit trail: a chain of records per tenant in which a change, a gap or a swap shows.

Each record's hash covers its own content and the hash before it, so a record can only be changed together with all
that follow it. The hash of a newest record, its head, stands for the whole chain: kept elsewhere, it also shows that
records were cut off, or that the chain was computed anew.

The services that write chains and the command that checks them share this rule.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

GENESIS_HASH: Final = "0" * 64
"""What the first record of a tenant points back to."""
_LATER_FIELDS: Final = ("report_id", "destination_id")
"""Of a fact; the hash covers them where they say something, so that records from before them keep their hash."""


@dataclass(frozen=True, slots=True)
class AuditFact:
    """One thing that happened; no patient data, and no file names, which may hold it."""

    tenant: str
    actor: str
    """The `sub` of the person, or the name of the service."""
    action: str
    """What was done, such as `batch.created`; which there are is the service's business."""
    at: datetime
    batch_id: UUID | None = None
    instance_id: UUID | None = None
    fingerprint: str | None = None
    """Of the file: its SHA-256, or that of its archive and its place there."""
    reason: str | None = None
    """Why it was refused; None where it was done."""
    report_id: UUID | None = None
    destination_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A fact in its place in the chain."""

    fact: AuditFact
    sequence: int
    """1 for the first record of the tenant, without gaps."""
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record of a chain at some time, as it was published."""

    sequence: int
    hash: str


class FaultKind(StrEnum):
    """How a chain is broken."""

    EDITED = "edited"
    UNLINKED = "unlinked"
    MISSING = "missing"
    OUT_OF_ORDER = "out_of_order"
    REWRITTEN = "rewritten"
    TAIL_CUT = "tail_cut"


@dataclass(frozen=True, slots=True)
class Fault:
    """One place where a chain is broken."""

    kind: FaultKind
    sequence: int
    """The first record that is not as it was written."""
    detail: str


def chain(fact: AuditFact, previous: AuditRecord | None) -> AuditRecord:
    """The record of `fact` that follows `previous` (None: it is the tenant's first)."""
    sequence = previous.sequence + 1 if previous else 1
    prev_hash = previous.hash if previous else GENESIS_HASH
    return AuditRecord(fact, sequence, prev_hash, _hash(fact, sequence, prev_hash))


class Verification:
    """Computes a tenant's chain again, record by record from its first, and compares it with the published heads.

    It goes on after a fault, from the record as it is, so that every break is found and not only the first.
    """

    def __init__(self, heads: Iterable[Head]) -> None:
        """`heads` are to be read before the records: a chain grows, so that a later head may be newer than its end."""
        self._heads: defaultdict[int, set[str]] = defaultdict(set)
        for head in heads:
            self._heads[head.sequence].add(head.hash)
        self._previous: AuditRecord | None = None
        self._confirmed = 0
        self.faults: list[Fault] = []
        self.records = 0

    @property
    def last_sequence(self) -> int:
        """Number of the last record that was given; 0 before the first."""
        return self._previous.sequence if self._previous else 0

    @property
    def newest_head(self) -> int:
        """Number of the newest record whose hash was published; 0 where none was."""
        return max(self._heads, default=0)

    def add(self, record: AuditRecord) -> None:
        """Check the next record, in the order in which the chain is read."""
        expected = self.last_sequence + 1
        if record.sequence > expected:
            self._fault(FaultKind.MISSING, expected, _missing(expected, record.sequence - 1))
        elif record.sequence < expected:
            self._fault(FaultKind.OUT_OF_ORDER, record.sequence, f"it comes after record {self.last_sequence}")
        elif record.prev_hash != (self._previous.hash if self._previous else GENESIS_HASH):
            self._fault(
                FaultKind.UNLINKED,
                record.sequence,
                f"it does not follow from record {expected - 1}: one of the two was changed, moved or put there",
            )
        if record.hash != _hash(record.fact, record.sequence, record.prev_hash):
            self._fault(FaultKind.EDITED, record.sequence, "its content does not have its hash")
        self._compare(record)
        self._previous = record
        self.records += 1

    def finish(self) -> None:
        """Say that there are no more records."""
        if self.newest_head > self.last_sequence:
            first = self.last_sequence + 1
            detail = f"the end was cut off: {_missing(first, self.newest_head)}, whose head was published"
            self._fault(FaultKind.TAIL_CUT, first, detail)

    def _compare(self, record: AuditRecord) -> None:
        published = self._heads.get(record.sequence)
        if published is None:
            return
        if published == {record.hash}:
            self._confirmed = record.sequence
        else:
            first = self._confirmed + 1
            detail = (
                f"the chain was computed anew somewhere from {first} to {record.sequence}: another head was published"
            )
            self._fault(FaultKind.REWRITTEN, record.sequence, detail)

    def _fault(self, kind: FaultKind, sequence: int, detail: str) -> None:
        self.faults.append(Fault(kind, sequence, detail))


def _missing(first: int, last: int) -> str:
    return f"record {first} is missing" if first == last else f"records {first} to {last} are missing"


def _hash(fact: AuditFact, sequence: int, prev_hash: str) -> str:
    content = asdict(fact) | {
        "at": fact.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "sequence": sequence,
        "prev_hash": prev_hash,
    }
    for name in _LATER_FIELDS:
        if content[name] is None:
            del content[name]
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
