"""Clients that go away take nothing with them (SQLAlchemy issues 8145 and 12099)."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import asyncpg
import pytest

from radrelay_shared.database import Database, DatabaseSettings
from report_service.adapters.postgres import PostgresReportStore
from report_service.handlers import persist_report
from report_service.main import create_app
from report_service.settings import ReportSettings
from support.asgi import serving
from support.databases import dsn
from support.events import inference_completed
from support.tenants import new_tenant
from support.tokens import TestIssuer

POOL_SIZE = 2


@pytest.fixture
async def small_pool(report_database: DatabaseSettings) -> DatabaseSettings:
    return report_database.model_copy(update={"pool_size": POOL_SIZE, "max_overflow": 0})


@pytest.fixture
async def observer(report_database: DatabaseSettings) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn(report_database.app_url))
    yield connection
    await connection.close()


async def cancel_many(work: Callable[[], Awaitable[object]], count: int, *, seed: int) -> None:
    """Start `work` over and over, eight at a time, and cancel each a moment later, until `count` were caught at it.

    The moment adapts until some are caught early, some late and some finish.
    """
    chance = random.Random(seed)
    within_s, caught, finished = 0.01, 0, 0

    async def start_and_cancel() -> bool:
        task = asyncio.ensure_future(work())
        await asyncio.sleep(chance.uniform(0, within_s))
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
            raise outcome
        return isinstance(outcome, asyncio.CancelledError)

    while caught < count or not finished:
        outcomes = await asyncio.gather(*(start_and_cancel() for _ in range(8)))
        caught += sum(outcomes)
        finished += len(outcomes) - sum(outcomes)
        within_s *= 1.1 if all(outcomes) else 0.9


async def wait_until_nothing_is_held(observer: asyncpg.Connection) -> None:
    """No other backend of the runtime role is in a transaction, so none holds a lock either."""
    async with asyncio.timeout(10):
        while await observer.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE usename = current_user AND pid <> pg_backend_pid() AND state <> 'idle'"
        ):
            await asyncio.sleep(0.01)


async def test_cancelled_requests_on_a_small_pool_leak_nothing(
    settings: ReportSettings, small_pool: DatabaseSettings, observer: asyncpg.Connection, issuer: TestIssuer
) -> None:
    tenant = new_tenant()
    async with Database(small_pool.app_url) as database:
        event = inference_completed(tenant=tenant)
        await persist_report(event, reports=PostgresReportStore(database), now=lambda: datetime.now(UTC))
    own, others = issuer.bearer(tenant, "dr-a"), issuer.bearer(new_tenant(), "dr-a")
    async with serving(create_app(settings.model_copy(update={"database": small_pool}))) as client:
        await client.get("/v1/reports", headers=own)  # the signing keys are fetched by now
        await cancel_many(lambda: client.get("/v1/reports", headers=own), 500, seed=1)
        async with asyncio.timeout(10):
            for headers, count in ((others, 0), (own, 1)) * (2 * POOL_SIZE):
                answers = await asyncio.gather(*(client.get("/v1/reports", headers=headers) for _ in range(POOL_SIZE)))
                assert [len(answer.json()["reports"]) for answer in answers] == [count] * POOL_SIZE
        await wait_until_nothing_is_held(observer)


async def test_a_cancelled_report_is_there_with_its_announcement_or_not_at_all(
    small_pool: DatabaseSettings, observer: asyncpg.Connection, system: Database
) -> None:
    tenant = new_tenant()
    async with Database(small_pool.app_url, pool_size=POOL_SIZE, max_overflow=0) as database:
        store = PostgresReportStore(database)

        async def persist() -> None:
            await persist_report(inference_completed(tenant=tenant), reports=store, now=lambda: datetime.now(UTC))

        await cancel_many(persist, 150, seed=2)
        await wait_until_nothing_is_held(observer)
    async with observer.transaction():
        await observer.execute(
            "SELECT set_config('radrelay.tenant', $1, true), set_config('radrelay.role', 'service', true)", tenant
        )
        reports = await observer.fetchval("SELECT count(*) FROM report.reports")
        inbox = await observer.fetchval("SELECT count(*) FROM report.inbox")
    assert reports > 0
    assert reports == inbox == await announced(system, tenant)


async def announced(system: Database, tenant: str) -> int:
    connection = await asyncpg.connect(system.dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM report.outbox WHERE tenant = $1", tenant))
    finally:
        await connection.close()
