"""Processes that are started beside the migration wait for it: `python -m <service>_service.migrate --wait`."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
import pytest

from radrelay_shared.database import DatabaseSettings
from radrelay_shared.database.migrations import migrate, revisions
from radrelay_shared.database.waiting import wait_for_schema
from support.databases import dsn, new_database, provisioned
from support.stack import Infrastructure

SERVICE = "report"


@pytest.fixture
async def empty(infra: Infrastructure) -> DatabaseSettings:
    """The addresses of a database with roles and an empty schema."""
    return await provisioned(await new_database(infra.postgres_admin_url), SERVICE)


async def bring(settings: DatabaseSettings, revision: str) -> None:
    assert settings.owner_url is not None
    await asyncio.to_thread(migrate, f"{SERVICE}_service", settings.owner_url.get_secret_value(), revision)


async def waits(waiting: asyncio.Task[None]) -> bool:
    """Whether it still waits when it has looked several times."""
    done, _ = await asyncio.wait({waiting}, timeout=0.5)
    return not done


async def test_a_process_waits_for_a_schema_and_for_its_newest_revision(empty: DatabaseSettings) -> None:
    waiting = asyncio.create_task(wait_for_schema(SERVICE, empty, pause_s=0.02))
    assert await waits(waiting)
    _, older = revisions(f"{SERVICE}_service")
    await bring(empty, max(older))
    assert await waits(waiting)
    await bring(empty, "head")
    await asyncio.wait_for(waiting, timeout=30)


async def test_a_newer_revision_than_is_known_is_enough(empty: DatabaseSettings) -> None:
    await bring(empty, "head")
    connection = await asyncpg.connect(dsn(empty.owner_url))
    try:
        await connection.execute(f"UPDATE {SERVICE}.alembic_version SET version_num = 'of a later release'")
    finally:
        await connection.close()
    await asyncio.wait_for(wait_for_schema(SERVICE, empty, pause_s=0.02), timeout=30)


async def test_the_command_needs_the_runtime_role_alone_for_waiting_and_the_owner_for_migrating(
    empty: DatabaseSettings, tmp_path: Path
) -> None:
    assert empty.owner_url is not None
    prefix = f"RADRELAY_{SERVICE.upper()}_DATABASE__"
    app = {f"{prefix}APP_URL": empty.app_url.get_secret_value()}
    assert await command({**app, f"{prefix}OWNER_URL": empty.owner_url.get_secret_value()}, tmp_path) == 0
    assert await command(app, tmp_path, "--wait") == 0
    assert await command(app, tmp_path) != 0


async def command(environment: dict[str, str], folder: Path, *arguments: str) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"{SERVICE}_service.migrate", *arguments),
        env={"PATH": os.environ["PATH"], **environment},
        cwd=folder,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await asyncio.wait_for(process.wait(), timeout=60)
