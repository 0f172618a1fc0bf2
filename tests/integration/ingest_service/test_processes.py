"""The commands as they are run in production: settings from the environment only."""

import asyncio
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import asyncpg
import httpx
import pytest
from alembic.script import ScriptDirectory

from ingest_service.settings import IngestSettings
from radrelay_shared.database import DatabaseSettings
from support.databases import dsn, new_database, provisioned
from support.dicom_files import dicom_file
from support.ingest_processes import environment_of, ready, running, stopped
from support.memory import peak_rss_bytes
from support.stack import Infrastructure
from support.tenants import new_tenant
from support.tokens import TestIssuer

MIB = 1 << 20
BODY_BYTES = 256 * MIB
# Blocks on their way through the parser, the spool and the client of the store, and what the allocator keeps of them.
GROWTH_BYTES = 32 * MIB


@pytest.fixture
def environment(settings: IngestSettings, tmp_path: Path) -> dict[str, str]:
    return environment_of(settings, tmp_path)


async def test_the_migration_command_makes_the_schema(environment: dict[str, str], infra: Infrastructure) -> None:
    database: DatabaseSettings = await provisioned(await new_database(infra.postgres_admin_url), "ingest")
    assert database.owner_url is not None
    env = environment | {"RADRELAY_INGEST_DATABASE__OWNER_URL": database.owner_url.get_secret_value()}
    async with running("ingest_service.migrate", env=env) as process, asyncio.timeout(30):
        assert await process.wait() == 0
    connection = await asyncpg.connect(dsn(database.owner_url))
    try:
        newest = ScriptDirectory(str(files("ingest_service") / "migrations")).get_current_head()
        assert await connection.fetchval("SELECT version_num FROM ingest.alembic_version") == newest
    finally:
        await connection.close()


async def test_the_worker_becomes_ready_and_ends_when_told(environment: dict[str, str], unused_tcp_port: int) -> None:
    env = environment | {"RADRELAY_INGEST_HEALTH_PORT": str(unused_tcp_port)}
    async with running("ingest_service.worker", env=env) as process:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{unused_tcp_port}") as client:
            await ready(client)
            assert "radrelay_outbox_oldest_age_seconds" in (await client.get("/metrics")).text
        assert await stopped(process) == 0


async def test_a_large_upload_takes_no_memory(
    environment: dict[str, str], unused_tcp_port: int, issuer: TestIssuer, tmp_path: Path
) -> None:
    command = ("uvicorn", "--factory", "ingest_service.main:create_app", "--port", str(unused_tcp_port))
    async with running(*command, env=environment) as process:
        headers = issuer.bearer(new_tenant(), "dr-a")
        base_url = f"http://127.0.0.1:{unused_tcp_port}"
        async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=60) as client:
            await ready(client)
            batch_id = (await client.post("/v1/batches", json={})).json()["batch_id"]
            path = f"/v1/batches/{batch_id}/files"
            small = await client.post(path, files={"files": ("a.dcm", dicom_file())})
            assert len(small.json()["accepted"]) == 1
            before = peak_rss_bytes(process.pid)
            response = await client.post(
                path, content=big_body(), headers={"Content-Type": "multipart/form-data; boundary=x"}
            )
        assert [each["reason"] for each in response.json()["rejected"]] == ["not_dicom"]
        assert peak_rss_bytes(process.pid) - before < GROWTH_BYTES
        await stopped(process)
    assert left_in(tmp_path) == []


async def big_body() -> AsyncIterator[bytes]:
    yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="big.dcm"\r\n\r\n'
    for _ in range(BODY_BYTES // MIB):
        yield bytes(MIB)
    yield b"\r\n--x--\r\n"


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())
