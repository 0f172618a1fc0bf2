"""Reads share transactions, and what happens to one of them does not hinder the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy.exc import DBAPIError

from radrelay_shared.audit import tables
from radrelay_shared.audit.log import GatheredReads
from radrelay_shared.audit.ports import AuditStore, AuditTransaction
from radrelay_shared.database import Scope
from support.audited import AuditedService, some_fact
from support.tenants import new_tenant


class CountingStore:
    """Counts transactions, and holds those of one tenant back until it is let go."""

    def __init__(self, store: AuditStore, held_tenant: str) -> None:
        self._store = store
        self._held_tenant = held_tenant
        self.transactions = 0
        self.go = asyncio.Event()

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[AuditTransaction]:
        self.transactions += 1
        if scope.tenant == self._held_tenant:
            await self.go.wait()
        async with self._store.transaction(scope) as tx:
            yield tx


async def test_reads_that_come_while_one_is_written_share_the_next_transaction(audited: AuditedService) -> None:
    tenant, other = new_tenant(), new_tenant()
    store = CountingStore(audited.store, held_tenant=tenant)
    async with GatheredReads(store, audited.name) as reads:
        first = asyncio.ensure_future(reads.record(some_fact(tenant)))
        while not store.transactions:
            await asyncio.sleep(0)
        rest = [asyncio.ensure_future(reads.record(some_fact(tenant))) for _ in range(200)]
        # Another tenant's read does not wait for them.
        await reads.record(some_fact(other))
        assert not first.done()
        store.go.set()
        await asyncio.gather(first, *rest)
    assert store.transactions == 3
    assert len(await audited.records(tenant)) == 201


async def test_a_reader_that_goes_away_leaves_its_record_and_hinders_nobody(audited: AuditedService) -> None:
    tenant = new_tenant()
    store = CountingStore(audited.store, held_tenant=tenant)
    async with GatheredReads(store, audited.name) as reads:
        gone = asyncio.ensure_future(reads.record(some_fact(tenant)))
        stays = asyncio.ensure_future(reads.record(some_fact(tenant)))
        while not store.transactions:
            await asyncio.sleep(0)
        gone.cancel()
        store.go.set()
        await stays
    assert gone.cancelled()
    assert len(await audited.records(tenant)) == 2


async def test_a_transaction_that_dies_after_its_record_leaves_neither_record_nor_gap(audited: AuditedService) -> None:
    tenant = new_tenant()

    class Killed(BaseException):
        """Stands for the end of the process."""

    for dies in (False, True, False):
        with suppress(Killed):
            async with audited.store.transaction(Scope.service(tenant)) as tx:
                await tx.audit(some_fact(tenant), some_fact(tenant))
                if dies:
                    raise Killed
    assert [record.sequence for record in await audited.records(tenant)] == [1, 2, 3, 4]


async def test_a_writer_that_stands_still_with_the_chain_in_hand_does_not_stop_the_tenant(
    audited: AuditedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = new_tenant()
    monkeypatch.setattr(tables, "_HOLD_MS", 100)

    async def stand_still() -> None:
        async with audited.store.transaction(Scope.service(tenant)) as frozen:
            await frozen.audit(some_fact(tenant))
            async with asyncio.timeout(20), audited.store.transaction(Scope.service(tenant)) as tx:
                await tx.audit(some_fact(tenant))

    with pytest.raises(DBAPIError):
        await stand_still()
    assert len(await audited.records(tenant)) == 1


async def test_a_read_whose_record_cannot_be_written_is_not_answered_and_nor_is_a_refusal(
    audited: AuditedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise ConnectionError("away")

    tenant = new_tenant()
    monkeypatch.setattr(tables.ChainTransaction, "audit", away)
    for path in (audited.listing, audited.thing.format("3c0d67a2-51a8-4f6f-a3f0-0a1f7c7c2a11"), "/v1/audit"):
        response = await audited.get(path, tenant)
        assert (response.status_code, response.json()["code"]) == (503, "storage_unavailable"), path
    monkeypatch.undo()
    assert await audited.records(tenant) == []
    await audited.read(tenant)
    assert len(await audited.records(tenant)) == 1
