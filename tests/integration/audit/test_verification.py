"""`radrelay audit` against a service, its database and its broker: what was done to a chain is found, and where."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from copy import copy
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from nats.js import JetStreamContext
from typer.testing import CliRunner, Result

from radrelay_local.audit import commands
from radrelay_shared.audit import chain
from radrelay_shared.database import OutboxRelay
from radrelay_shared.messaging import Publisher
from radrelay_shared.messaging.audit_heads import published_heads
from support.audited import AuditedService
from support.stack import Infrastructure
from support.tenants import new_tenant

Publish = Callable[[str], Awaitable[None]]
ADMIN = ("tenant_admin",)

EDIT = "UPDATE {table} SET actor = 'eve' WHERE tenant = $1 AND sequence = 3"
DELETE = "DELETE FROM {table} WHERE tenant = $1 AND sequence = 3"
SWAP = "UPDATE {table} SET sequence = sequence - 7 WHERE tenant = $1 AND sequence IN (3, 4)"
MAKE_ROOM = "UPDATE {table} SET sequence = -(sequence + 1) WHERE tenant = $1 AND sequence >= 3"
COPY = (
    "INSERT INTO {table} (tenant, sequence, actor, action, at, prev_hash, hash)"
    " SELECT tenant, 3, actor, action, at, hash, hash FROM {table} WHERE tenant = $1 AND sequence = 2"
)
TURN = "UPDATE {table} SET sequence = -sequence WHERE tenant = $1 AND sequence < 0"
CUT = "DELETE FROM {table} WHERE tenant = $1 AND sequence > 3"
EMPTY = "DELETE FROM {table} WHERE tenant = $1"
REWRITE = "UPDATE {table} SET actor = $3, prev_hash = $4, hash = $5 WHERE tenant = $1 AND sequence = $2"


class Auditor:
    """One who has a tenant with a chain of some records, and types `radrelay audit`."""

    def __init__(self, tenant: str, audited: AuditedService, infra: Infrastructure) -> None:
        self.tenant = tenant
        self.audited = audited
        self._env = {
            f"RADRELAY_{audited.name.upper()}_URL": audited.url,
            "RADRELAY_TOKEN": audited.issuer.token(tenant, "boss", ADMIN),
            "RADRELAY_NATS__URL": infra.nats_url,
            "COLUMNS": "200",
        }

    def of(self, tenant: str) -> "Auditor":
        """The same, of another tenant."""
        other = copy(self)
        other.tenant = tenant
        other._env = {**self._env, "RADRELAY_TOKEN": self.audited.issuer.token(tenant, "boss", ADMIN)}
        return other

    async def types(self, command: str, *arguments: str, **env: str | None) -> Result:
        line = [command, "--tenant", self.tenant, "--service", self.audited.name, *arguments]
        return await asyncio.to_thread(lambda: CliRunner().invoke(commands.app, line, env={**self._env, **env}))

    async def finds(self) -> list[str]:
        """Where `verify` says that the chain is broken, and how."""
        result = await self.types("verify")
        assert result.exit_code in (0, commands.BROKEN), result.output
        found = [line for line in result.stdout.splitlines() if line.startswith("record ")]
        assert (result.exit_code == 0) == (not found)
        return [":".join(line.removeprefix("record ").split(":")[:2]) for line in found]


@pytest.fixture
async def owner(audited: AuditedService) -> AsyncIterator[asyncpg.Connection]:
    """A connection that nothing holds back: an administrator's, for whom no trigger fires and no row is hidden."""
    connection = await asyncpg.connect(audited.admin_dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def tamper(owner: asyncpg.Connection, auditor: "Auditor", *statements: str) -> None:
    """Change a tenant's chain with the trigger off, as only the owner of the table can."""
    table = auditor.audited.table
    async with owner.transaction():
        await owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        for statement in statements:
            await owner.execute(statement.format(table=table), auditor.tenant)
        await owner.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")


@pytest.fixture
def publish(audited: AuditedService, js: JetStreamContext) -> Publish:
    """Publishes the head of a tenant's chain as it is now."""
    relay = OutboxRelay(audited.system, audited.outbox, Publisher(js))

    async def run(tenant: str) -> None:
        head = (await audited.records(tenant))[-1]
        async with asyncio.timeout(20):
            while head.hash not in [e.data.hash async for e in published_heads(js, tenant, audited.name)]:
                await audited.heads().publish(0)
                await relay.relay_once()

    return run


@pytest.fixture
async def auditor(audited: AuditedService, infra: Infrastructure, publish: Publish) -> Auditor:
    """Of a chain of 5 records whose head is published."""
    tenant = new_tenant()
    for _ in range(4):
        await audited.read(tenant)
    assert (await audited.get(audited.thing.format(uuid4()), tenant)).status_code == 404
    await publish(tenant)
    return Auditor(tenant, audited, infra)


async def test_an_untouched_chain_holds_and_reading_it_to_check_it_breaks_nothing(auditor: Auditor) -> None:
    result = await auditor.types("verify")
    assert result.exit_code == 0, result.output
    assert "HOLDS: as published up to record 5" in result.stdout
    assert await auditor.finds() == []


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        ([EDIT], "3: edited"),
        ([DELETE], "3: missing"),
        ([SWAP, TURN], "3: unlinked"),
        ([MAKE_ROOM, COPY, TURN], "3: edited"),
        ([CUT], "4: tail_cut"),
        ([EMPTY], "1: tail_cut"),
    ],
    ids=["edit", "delete", "reorder", "insert", "cut", "empty"],
)
async def test_what_the_owner_of_the_table_does_is_found_and_where(
    auditor: Auditor, owner: asyncpg.Connection, statements: list[str], found: str
) -> None:
    await tamper(owner, auditor, *statements)
    assert (await auditor.finds())[0] == found


async def test_a_table_that_is_truncated_is_found(auditor: Auditor, owner: asyncpg.Connection) -> None:
    table = auditor.audited.table
    async with owner.transaction():
        # What other tenants have is put back: their tests run on the same table.
        await owner.execute(
            f"CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM {table} WHERE tenant <> $1", auditor.tenant
        )
        await owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        await owner.execute(f"TRUNCATE {table}")
        await owner.execute(f"INSERT INTO {table} SELECT * FROM kept")
        await owner.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")
    assert await auditor.finds() == ["1: tail_cut"]


async def rewrite(owner: asyncpg.Connection, auditor: Auditor, first: int) -> None:
    """Say that eve did what is recorded from number `first` on, and compute the chain anew so that it holds."""
    table = auditor.audited.table
    previous, *old = (await auditor.audited.records(auditor.tenant))[first - 2 :]
    await owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
    for record in old:
        previous = chain(replace(record.fact, actor="eve"), previous)
        statement = REWRITE.format(table=table)
        await owner.execute(statement, auditor.tenant, previous.sequence, "eve", previous.prev_hash, previous.hash)
    await owner.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")


async def test_a_chain_that_was_computed_anew_and_its_new_head_published_is_found(
    auditor: Auditor, owner: asyncpg.Connection, publish: Publish
) -> None:
    async with owner.transaction():
        await rewrite(owner, auditor, first=3)
    assert await auditor.finds() == ["5: rewritten"]
    await publish(auditor.tenant)
    assert await auditor.finds() == ["5: rewritten"]


async def test_an_end_that_was_cut_off_is_found_also_when_the_chain_has_grown_again(
    auditor: Auditor, owner: asyncpg.Connection
) -> None:
    await tamper(owner, auditor, CUT)
    await auditor.finds()
    await auditor.finds()
    # Checking added records in place of those that are gone.
    assert await auditor.finds() == ["5: rewritten"]


async def test_what_is_done_to_one_tenant_shows_in_its_own_chain_alone(
    auditor: Auditor, owner: asyncpg.Connection, publish: Publish
) -> None:
    tenant = new_tenant()
    await auditor.audited.read(tenant)
    await publish(tenant)
    await tamper(owner, auditor, EDIT, CUT)
    assert await auditor.finds() == ["3: edited", "4: tail_cut"]
    assert await auditor.of(tenant).finds() == []


async def test_without_a_published_head_the_answer_is_that_it_is_unknown(auditor: Auditor) -> None:
    tenant = new_tenant()
    await auditor.audited.read(tenant)
    result = await auditor.of(tenant).types("verify")
    assert (result.exit_code, result.stdout.splitlines()[-1][:8]) == (commands.UNKNOWN, "UNKNOWN:")


@pytest.mark.parametrize("command", ["verify", "export"])
async def test_what_cannot_be_read_is_not_called_broken(auditor: Auditor, command: str) -> None:
    issuer = auditor.audited.issuer
    option = "--url" if auditor.audited.name == "ingest" else "--report-url"
    refused = await auditor.types(command, RADRELAY_TOKEN=issuer.token(auditor.tenant, "dr-a"))
    assert (refused.exit_code, "refused with 403" in refused.stderr) == (commands.UNKNOWN, True)
    away = await auditor.types(command, option, "http://127.0.0.1:9")
    assert (away.exit_code, "cannot be reached" in away.stderr) == (commands.UNKNOWN, True)
    stranger = await auditor.types(command, RADRELAY_TOKEN=issuer.token("other", "boss", ADMIN))
    assert (stranger.exit_code, "the token is of tenant other" in stranger.stderr) == (commands.UNKNOWN, True)
    impossible = await auditor.types(command, "--tenant", ">")
    assert (impossible.exit_code, "is no name of a tenant" in impossible.stderr) == (commands.UNKNOWN, True)
    unnamed = await auditor.types(command, RADRELAY_TOKEN=None)
    assert (unnamed.exit_code, f"{option} needs --token" in unnamed.stderr) == (commands.UNKNOWN, True)


async def test_the_records_are_exported_as_they_are_and_hold_as_a_chain(auditor: Auditor) -> None:
    result = await auditor.types("export", "--format", "ndjson")
    assert result.exit_code == 0, result.output
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["sequence"] for each in documents] == [1, 2, 3, 4, 5]
    assert {(each["tenant"], each["service"]) for each in documents} == {(auditor.tenant, auditor.audited.name)}
    assert [each["prev_hash"] for each in documents[1:]] == [each["hash"] for each in documents[:-1]]
    later = await auditor.types("export", "--format", "ndjson", "--after", "4")
    assert json.loads(later.stdout.splitlines()[0]) == documents[4]


async def test_the_export_is_fhir_audit_events_of_the_service_and_a_refusal_is_a_failure(auditor: Auditor) -> None:
    result = await auditor.types("export")
    assert result.exit_code == 0, result.output
    for line in result.stdout.splitlines():
        AuditEvent.model_validate_json(line)
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert {event["source"]["observer"]["display"] for event in events} == {f"radrelay {auditor.audited.name}"}
    assert [(event["action"], event["outcome"]) for event in events] == [("E", "0")] * 4 + [("R", "4")]
    assert events[-1]["outcomeDesc"] in {"batch_not_found", "report_not_found"}


async def test_one_address_is_not_taken_for_all_services(auditor: Auditor) -> None:
    (other,) = {"ingest", "report"} - {auditor.audited.name}
    for command in ("verify", "export"):
        result = await auditor.types(command, "--service", other)
        assert (result.exit_code, f"where the {other} API is was not said" in result.stderr) == (2, True)
