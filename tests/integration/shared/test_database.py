"""Tenant transactions, outbox and inbox on a real PostgreSQL and a real JetStream, with a table of this test's own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import uuid4

import asyncpg
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from radrelay_shared.database import (
    Database,
    InboxColumns,
    OutboxColumns,
    OutboxRelay,
    Scope,
    enqueue,
    is_database_outage,
    metadata_for,
    record_once,
)
from radrelay_shared.database.migrations import create_inbox, create_outbox, enable_row_security
from radrelay_shared.database.provision import ROLES, provision_service
from radrelay_shared.events import Event, InstanceStored
from radrelay_shared.messaging import (
    NatsSettings,
    Outgoing,
    Publisher,
    PublishError,
    connect,
    ensure_topology,
    subject_for,
)
from support.events import instance_stored
from support.stack import Infrastructure

SCHEMA = "probe"
NORTH_ADA = Scope("north", "ada", "clinician")
NORTH_BEN = Scope("north", "ben", "clinician")
NORTH_ADMIN = Scope("north", "chief", "tenant_admin")
SOUTH_ADA = Scope("south", "ada", "clinician")


class Base(DeclarativeBase):
    metadata = metadata_for(SCHEMA)


class Thing(Base):
    __tablename__ = "things"
    tenant: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str]


class OutboxRow(OutboxColumns, Base):
    __tablename__ = "outbox"


class InboxRow(InboxColumns, Base):
    __tablename__ = "inbox"


@dataclass(frozen=True)
class Addresses:
    owner: str
    app: str
    system: str


def _build(connection: Connection) -> None:
    Base.metadata.create_all(connection, tables=[Thing.__table__])  # type: ignore[list-item]  # it is a Table
    with Operations.context(MigrationContext.configure(connection)):
        enable_row_security(SCHEMA, "things", by_owner=True, app="SELECT, INSERT, UPDATE, DELETE")
        create_outbox(SCHEMA)
        create_inbox(SCHEMA)


@pytest.fixture(scope="module")
async def addresses(infra: Infrastructure) -> Addresses:
    base = infra.postgres_admin_url.rsplit("/", 1)[0]
    database = f"probe_{uuid4().hex[:8]}"
    admin = await asyncpg.connect(infra.postgres_admin_url)
    await admin.execute(f"CREATE DATABASE {database}")
    await admin.close()
    inside = await asyncpg.connect(f"{base}/{database}")
    for _ in range(2):  # provisioning again changes nothing
        await provision_service(inside, SCHEMA, {role: f"it's {role}" for role in ROLES})
    await inside.close()
    host = base.rsplit("@", 1)[-1]
    owner, app, system = (f"postgresql+asyncpg://{SCHEMA}_{role}:it%27s%20{role}@{host}/{database}" for role in ROLES)
    engine = create_async_engine(owner)
    async with engine.begin() as connection:
        await connection.run_sync(_build)
    await engine.dispose()
    return Addresses(owner, app, system)


@pytest.fixture
async def database(addresses: Addresses) -> AsyncIterator[Database]:
    async with Database(addresses.app, pool_size=2, max_overflow=0) as opened:
        yield opened
        async with opened.transaction(Scope.service("north")) as session:
            await session.execute(text("DELETE FROM probe.things"))


@pytest.fixture
async def system(addresses: Addresses) -> AsyncIterator[Database]:
    async with Database(addresses.system, pool_size=2) as opened:
        yield opened


async def names(database: Database, scope: Scope) -> set[str]:
    async with database.transaction(scope) as session:
        return set((await session.execute(text("SELECT name FROM probe.things"))).scalars())


async def add(database: Database, scope: Scope, name: str) -> None:
    async with database.transaction(scope) as session:
        await session.execute(insert(Thing).values(tenant=scope.tenant, owner_id=scope.owner_id, name=name))


async def test_a_query_without_where_returns_only_what_the_scope_allows(database: Database) -> None:
    for scope, name in [(NORTH_ADA, "a"), (NORTH_BEN, "b"), (SOUTH_ADA, "s")]:
        await add(database, scope, name)
    assert await names(database, NORTH_ADA) == {"a"}
    assert await names(database, NORTH_BEN) == {"b"}
    assert await names(database, NORTH_ADMIN) == {"a", "b"}
    assert await names(database, SOUTH_ADA) == {"s"}


async def test_a_scope_is_gone_with_its_transaction(database: Database) -> None:
    await add(database, NORTH_ADA, "a")
    for _ in range(4):  # more often than the pool has connections
        assert await names(database, NORTH_ADA) == {"a"}
        async with database.system_transaction() as session:
            assert (await session.execute(text("SELECT count(*) FROM probe.things"))).scalar_one() == 0


async def test_a_row_of_another_tenant_cannot_be_written(database: Database) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.transaction(NORTH_ADA) as session:
            await session.execute(insert(Thing).values(tenant="south", owner_id="ada", name="x"))


async def test_even_the_owner_of_the_tables_is_held_to_row_security(addresses: Addresses, database: Database) -> None:
    await add(database, NORTH_ADA, "a")
    async with Database(addresses.owner) as owner:
        assert await names(owner, NORTH_ADMIN) == set()


async def test_an_exception_rolls_everything_back(database: Database) -> None:
    event = instance_stored(tenant="north")

    async def fail() -> None:
        async with database.transaction(NORTH_ADA) as session:
            await session.execute(insert(Thing).values(tenant="north", owner_id="ada", name="x"))
            await enqueue(session, OutboxRow, event)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await names(database, NORTH_ADA) == set()


async def test_an_event_is_recorded_once_a_consumer(database: Database) -> None:
    event = instance_stored(tenant="north")
    for consumer, expected in [("one", True), ("one", False), ("two", True)]:
        async with database.transaction(Scope.service("north")) as session:
            assert await record_once(session, InboxRow, consumer=consumer, event=event) is expected


async def test_what_is_rolled_back_is_not_recorded(database: Database) -> None:
    event = instance_stored(tenant="north")

    async def fail() -> None:
        async with database.transaction(Scope.service("north")) as session:
            assert await record_once(session, InboxRow, consumer="one", event=event)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.transaction(Scope.service("north")) as session:
        assert await record_once(session, InboxRow, consumer="one", event=event)


async def test_cancelled_work_gives_its_connection_back(database: Database) -> None:
    async def work() -> None:
        async with database.transaction(NORTH_ADA) as session:
            await session.execute(text("SELECT pg_sleep(0.05)"))

    for _ in range(50):
        tasks = [asyncio.create_task(work()) for _ in range(10)]
        await asyncio.sleep(0.002)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(10):
        assert await names(database, NORTH_ADA) == set()


async def unpublished(system: Database) -> int:
    async with system.system_transaction() as session:
        statement = select(func.count()).select_from(OutboxRow).where(OutboxRow.published_at.is_(None))
        return (await session.execute(statement)).scalar_one()


async def put_in_outbox(database: Database, count: int) -> list[Event[InstanceStored]]:
    events = [instance_stored(tenant="north") for _ in range(count)]
    async with database.transaction(Scope.service("north")) as session:
        for event in events:
            await enqueue(session, OutboxRow, event)
    return events


async def test_the_outbox_is_published_at_once_and_marked(
    database: Database, system: Database, infra: Infrastructure
) -> None:
    async with connect(NatsSettings(url=infra.nats_url), name="relay") as client:
        js = client.jetstream()
        await ensure_topology(js, NatsSettings().streams)
        stop = asyncio.Event()
        relays = [asyncio.create_task(OutboxRelay(system, OutboxRow, Publisher(js)).run(stop)) for _ in range(2)]
        subscription = await js.subscribe("radrelay.v1.north.instance.>", ordered_consumer=True, deliver_policy="new")  # type: ignore[arg-type]
        events = await put_in_outbox(database, 250)
        seen = {(await subscription.next_msg(timeout=4)).headers["Nats-Msg-Id"] for _ in events}  # type: ignore[index]
        async with asyncio.timeout(10):
            while await unpublished(system):
                await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*relays)
    assert seen == {event.id for event in events}
    assert subject_for(events[0]) == "radrelay.v1.north.instance.stored.routine"


class HalfDead(Publisher):
    """Confirms every other event."""

    def __init__(self) -> None:
        pass

    async def publish_together(self, messages: Sequence[Outgoing]) -> list[PublishError | None]:
        return [None if number % 2 else PublishError("no receipt") for number, _ in enumerate(messages)]


async def test_only_what_was_confirmed_is_marked(database: Database, system: Database) -> None:
    await put_in_outbox(database, 10)
    before = await unpublished(system)
    with pytest.raises(PublishError):
        await OutboxRelay(system, OutboxRow, HalfDead()).relay_once()
    assert await unpublished(system) == before - before // 2


async def test_the_same_event_cannot_be_put_in_the_outbox_twice(database: Database) -> None:
    event = instance_stored(tenant="north")
    async with database.transaction(Scope.service("north")) as session:
        await enqueue(session, OutboxRow, event)
    with pytest.raises(IntegrityError):
        async with database.transaction(Scope.service("north")) as session:
            await enqueue(session, OutboxRow, event)


async def test_published_rows_are_purged_when_they_are_old_and_unpublished_ones_never(
    database: Database, system: Database
) -> None:
    await put_in_outbox(database, 4)
    with pytest.raises(PublishError):
        await OutboxRelay(system, OutboxRow, HalfDead()).relay_once()
    waiting = await unpublished(system)
    assert await OutboxRelay(system, OutboxRow, HalfDead()).purge() == 0
    assert await OutboxRelay(system, OutboxRow, HalfDead(), keep_s=0.0).purge() > 0
    assert await unpublished(system) == waiting


@pytest.mark.parametrize(
    ("statement", "given"),
    [
        ("SELECT 1 / CAST(:given AS integer)", 0),
        ("SELECT CAST(:given AS text)", "a\0b"),
        ("SELECT CAST(:given AS text)", "\ud800"),
        ("SELECT CAST(:given AS integer)", 2**40),
        ("INSERT INTO probe.things (tenant, name, owner_id) VALUES (:given, NULL, NULL)", "north"),
        ("SELEKT :given", "x"),
    ],
)
async def test_what_is_wrong_with_what_was_sent_is_no_outage(database: Database, statement: str, given: object) -> None:
    with pytest.raises(DBAPIError) as refused:
        async with database.transaction(NORTH_ADA) as session:
            await session.execute(text(statement), {"given": given})
    assert not is_database_outage(refused.value)
