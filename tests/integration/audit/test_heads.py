"""Heads of audit chains: published when a chain grew, once, at a bounded pace, and for good."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import nats
from nats.js import JetStreamContext
from sqlalchemy import select

from radrelay_shared.audit.ports import AuditStore, AuditTransaction
from radrelay_shared.database import Scope
from radrelay_shared.events import AuditHeadPublished, Event, parse_event
from radrelay_shared.messaging import Publisher, durables
from radrelay_shared.messaging.audit_heads import published_heads
from support.audited import AuditedService
from support.events import audit_head_published
from support.stack import Infrastructure
from support.tenants import new_tenant


async def announced(audited: AuditedService, tenant: str) -> list[AuditHeadPublished]:
    outbox = audited.outbox
    async with audited.system.system_transaction() as session:
        rows = await session.scalars(select(outbox.payload).where(outbox.tenant == tenant).order_by(outbox.created_at))
        events: list[Event[Any]] = [parse_event(payload) for payload in rows]
    assert {event.source for event in events} <= {f"/radrelay/{audited.name}"}
    return [event.data for event in events if isinstance(event.data, AuditHeadPublished)]


async def test_a_head_is_announced_when_the_chain_grew_and_by_one_worker_alone(audited: AuditedService) -> None:
    tenant = new_tenant()
    await audited.read(tenant)
    await asyncio.gather(*(audited.heads().publish(0) for _ in range(4)))
    await audited.heads().publish(0)
    await audited.read(tenant)
    await audited.read(tenant)
    await audited.heads().publish(0)
    first, _, third = await audited.records(tenant)
    heads = await announced(audited, tenant)
    assert [(head.sequence, head.hash) for head in heads] == [(1, first.hash), (3, third.hash)]
    assert heads[0].recorded_at == first.fact.at
    assert {head.service for head in heads} == {audited.name}


async def test_a_chain_that_grows_on_is_announced_no_more_often_than_the_interval(audited: AuditedService) -> None:
    tenant = new_tenant()
    await audited.read(tenant)
    await audited.heads().publish(3600)
    await audited.read(tenant)
    await audited.heads().publish(3600)
    assert [head.sequence for head in await announced(audited, tenant)] == [1]


async def test_a_worker_that_dies_before_its_commit_leaves_the_head_to_the_next(audited: AuditedService) -> None:
    class Killed(BaseException):
        """Stands for the end of the process."""

    class DiesBeforeCommit:
        def __init__(self, store: AuditStore) -> None:
            self._store = store

        @asynccontextmanager
        async def transaction(self, scope: Scope) -> AsyncIterator[AuditTransaction]:
            async with self._store.transaction(scope) as tx:
                yield tx
                raise Killed

    tenant = new_tenant()
    await audited.read(tenant)
    with suppress(Killed):
        await audited.heads(DiesBeforeCommit(audited.store)).publish(0)
    assert await announced(audited, tenant) == []
    await audited.heads().publish(0)
    assert [head.sequence for head in await announced(audited, tenant)] == [1]


async def test_heads_are_read_back_in_order_and_of_one_tenant_and_service(
    js: JetStreamContext, audited: AuditedService
) -> None:
    tenant = new_tenant()
    (other,) = {"ingest", "report"} - {audited.name}
    events = [audit_head_published(tenant=tenant, service=audited.name, sequence=number) for number in (1, 5, 700)]
    for event in events:
        await Publisher(js).publish(event)
        await Publisher(js).publish(audit_head_published(tenant=new_tenant(), service=audited.name))
        await Publisher(js).publish(audit_head_published(tenant=tenant, service=other))
    assert [event async for event in published_heads(js, tenant, audited.name)] == events
    assert [event async for event in published_heads(js, new_tenant(), audited.name)] == []


async def test_the_worker_publishes_the_heads_of_chains_that_grow(
    audited: AuditedService, js: JetStreamContext
) -> None:
    tenant = new_tenant()
    await audited.read(tenant)

    async def until_published(sequence: int) -> None:
        async with asyncio.timeout(20):
            while sequence not in [e.data.sequence async for e in published_heads(js, tenant, audited.name)]:
                await asyncio.sleep(0.02)

    async with audited.working():
        await until_published(1)
        await audited.read(tenant)
        await until_published(2)


async def test_what_was_published_can_be_taken_back_neither_by_the_stream_nor_by_who_publishes(
    infra: Infrastructure, js: JetStreamContext, audited: AuditedService
) -> None:
    tenant, name = new_tenant(), durables.AUDIT_HEADS_OF[audited.name].name
    event = audit_head_published(tenant=tenant, service=audited.name)
    await Publisher(js).publish(event)
    config = (await js.stream_info(name)).config
    assert (config.deny_delete, config.deny_purge, config.allow_rollup_hdrs, config.max_age) == (True, True, False, 0)

    refused: list[str] = []

    async def on_error(error: Exception) -> None:
        refused.append(str(error))

    client = await nats.connect(infra.nats_url, error_cb=on_error)
    try:
        verbs = ("DELETE", "UPDATE", "PURGE", "MSG.DELETE")
        for verb in verbs:
            await client.publish(f"$JS.API.STREAM.{verb}.{name}", b"{}")
        async with asyncio.timeout(20):
            while len(refused) < len(verbs):
                await client.flush()
    finally:
        await client.close()
    assert all("permissions violation" in each.lower() for each in refused)
    assert [kept async for kept in published_heads(js, tenant, audited.name)] == [event]
