"""The audit trail: a chain of records per tenant in which a change, a gap or a swap shows.

Each record's hash covers its own content and the hash before it, so a record can only be changed together with all
that follow it.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

GENESIS_HASH: Final = "0" * 64
"""What the first record of a tenant points back to."""


class AuditAction(StrEnum):
    """What was done."""

    BATCH_CREATED = "batch.created"
    BATCH_CLOSED = "batch.closed"
    FILE_ACCEPTED = "file.accepted"
    FILE_REPEATED = "file.repeated"
    FILE_REJECTED = "file.rejected"


@dataclass(frozen=True, slots=True)
class AuditFact:
    """One thing that happened; no patient data, and no file names, which may hold it."""

    tenant: str
    actor: str
    """The `sub` of the person, or the name of the service."""
    action: AuditAction
    at: datetime
    batch_id: UUID | None = None
    instance_id: UUID | None = None
    fingerprint: str | None = None
    """Of the file: see `ReceivedFile`."""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A fact in its place in the chain."""

    fact: AuditFact
    sequence: int
    """1 for the first record of the tenant, without gaps."""
    prev_hash: str
    hash: str


def chain(fact: AuditFact, previous: AuditRecord | None) -> AuditRecord:
    """The record of `fact` that follows `previous` (None: it is the tenant's first)."""
    sequence = previous.sequence + 1 if previous else 1
    prev_hash = previous.hash if previous else GENESIS_HASH
    return AuditRecord(fact, sequence, prev_hash, _hash(fact, sequence, prev_hash))


def first_fault(records: Iterable[AuditRecord]) -> int | None:
    """The sequence number at which a tenant's chain, given in order from its first record, breaks; None if it holds.

    A tail that was cut off does not show here: compare the last hash with one that was published.
    """
    previous: AuditRecord | None = None
    for record in records:
        expected = chain(record.fact, previous)
        if (record.sequence, record.prev_hash, record.hash) != (expected.sequence, expected.prev_hash, expected.hash):
            return expected.sequence
        previous = record
    return None


def _hash(fact: AuditFact, sequence: int, prev_hash: str) -> str:
    content = asdict(fact) | {
        "at": fact.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "sequence": sequence,
        "prev_hash": prev_hash,
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
