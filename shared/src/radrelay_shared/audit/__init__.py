"""Audit trails: the chain of records and how it is checked.

What a service needs to keep one is in the modules beside: `tables` (columns, appending, reading), `log` (reads, many
in one transaction), `refusals`, `heads` (publishing how far a chain reaches) and `routes`. They share no table: each
service has its own chains.
"""

from radrelay_shared.audit.chain import (
    GENESIS_HASH,
    AuditFact,
    AuditRecord,
    Fault,
    FaultKind,
    Head,
    Verification,
    chain,
)

__all__ = ["GENESIS_HASH", "AuditFact", "AuditRecord", "Fault", "FaultKind", "Head", "Verification", "chain"]
