"""A report whose making is cancelled. Cancelled requests of every service: tests/integration/database."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from radrelay_shared.database import Database, DatabaseSettings
from report_service.adapters.postgres import PostgresReportStore
from report_service.handlers import persist_report
from support.cancelling import cancel_many, wait_until_nothing_is_held
from support.databases import dsn
from support.events import inference_completed
from support.tenants import new_tenant

POOL_SIZE = 2


@pytest.fixture
async def small_pool(report_database: DatabaseSettings) -> DatabaseSettings:
    return report_database.model_copy(update={"pool_size": POOL_SIZE, "max_overflow": 0})


@pytest.fixture
async def observer(report_database: DatabaseSettings) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn(report_database.app_url))
    yield connection
    await connection.close()


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
